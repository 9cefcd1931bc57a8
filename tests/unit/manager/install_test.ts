import { assert, assertEquals } from "@std/assert";
import { somebody } from "../../../src/kernel/memory_kernel.ts";
import { State } from "../../../src/protocol/packet.ts";
import { Bench, DETECT_US, route } from "./fixture.ts";

/** Moments, since `from`, at which the kernel was asked to replace or delete a route of ours. */
function requests(bench: Bench, kind: "replace" | "delete"): number[] {
  const at: number[] = [];
  bench.kernel.failWhen((request) => {
    if (request.kind === kind && request.route.table === 254) {
      at.push(bench.clock.now());
      return "unreachable";
    }
    return null;
  });
  return at;
}

function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((at, i) => at - times[i]!);
}

/** Keeps the peer Up while time passes. */
async function alive(bench: Bench, us: number): Promise<void> {
  for (let passed = 0; passed < us; passed += 300_000) {
    bench.hear(route(1), State.Up);
    await bench.advance(Math.min(300_000, us - passed));
  }
}

Deno.test("a route is installed when the kernel has said so, not when it was asked", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernelWaits = true;
  bench.bringUp(route(1));
  await bench.advance(10_000);
  const { desired, installed, reason } = bench.shown(route(1));
  assertEquals([desired, installed, reason], [true, false, "waiting for the kernel"] as never);
  assertEquals(bench.manager.counts().routesInstalled, 0);
  assertEquals(bench.told("route_installed"), []);
  await bench.answer();
  assertEquals([bench.shown(route(1)).installed, bench.holds(route(1))], [true, true]);
  assertEquals(bench.told("route_installed").map(({ after_us }) => after_us), [10_000]);
  assertEquals(bench.counters(route(1)).installs, 1);
});

Deno.test("a route is gone when the kernel has said so, not when it was asked", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernelWaits = true;
  await bench.advance(DETECT_US + 10_000);
  const { desired, installed } = bench.shown(route(1));
  assertEquals([desired, installed, bench.manager.counts().routesInstalled], [false, true, 1]);
  await bench.answer();
  assertEquals([bench.shown(route(1)).installed, bench.holds(route(1))], [false, false]);
  assertEquals(bench.counters(route(1)).withdraws, 1);
  assertEquals(bench.told("route_withdrawn").map(({ after_us }) => after_us), [10_000]);
});

Deno.test("a failed install is tried again later and later, up to every 10 s", async () => {
  const bench = await Bench.started({}, route(1));
  const times = requests(bench, "replace");
  bench.bringUp(route(1));
  await alive(bench, 60_000_000);
  assertEquals(gaps(times).slice(0, 10).map((us) => Math.round(us / 100_000) / 10), [
    0.1,
    0.2,
    0.4,
    0.8,
    1.6,
    3.2,
    6.4,
    10,
    10,
    10,
  ]);
});

Deno.test("a failed install is counted each time, and told the 1st, 2nd, 4th, 8th time", async () => {
  const bench = await Bench.started({}, route(1));
  const times = requests(bench, "replace");
  bench.bringUp(route(1));
  await alive(bench, 60_000_000);
  const { failures, installed, desired, kernel_error, reason } = bench.shown(route(1));
  assertEquals([failures, bench.counters(route(1)).installFailures], [times.length, times.length]);
  assert(times.length >= 11);
  assertEquals([installed, desired], [false, true]);
  const text = "Unspecific failure (errno 101): Nexthop has invalid gateway";
  assertEquals([kernel_error, reason], [text, `kernel: ${text}`] as never);
  const told = bench.told("route_install_failed");
  assertEquals([told.length, told[0]!.reason], [4, text] as never);

  bench.kernel.failWhen(null);
  await alive(bench, 10_000_000);
  const after = bench.shown(route(1));
  assertEquals(
    [after.installed, after.kernel_error, bench.holds(route(1))],
    [true, null, true] as never,
  );
  assertEquals(after.failures, times.length, "what was counted stays");
});

Deno.test("after a success the next failure is the first of its row again", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernel.failNext(3, "busy");
  bench.bringUp(route(1));
  await alive(bench, 1_200_000);
  assertEquals(bench.holds(route(1)), true);
  await bench.silence(route(1));
  const times = requests(bench, "replace");
  bench.bringUp(route(1));
  await alive(bench, 150_000);
  assertEquals(gaps(times), [100_000]);
});

Deno.test("a failed uninstall is insisted on, each second at the least, and told 1, 2, 4, 8", async () => {
  const bench = await Bench.up({}, route(1));
  const times = requests(bench, "delete");
  await bench.advance(10_000_000);
  assertEquals(gaps(times).slice(0, 7).map((us) => Math.round(us / 10_000) / 100), [
    0.05,
    0.1,
    0.2,
    0.4,
    0.8,
    1,
    1,
  ]);
  assertEquals(bench.shown(route(1)).installed, true, "the kernel still has it");
  assertEquals(bench.counters(route(1)).uninstallFailures, times.length);
  assertEquals(bench.told("route_uninstall_failed").length, 4);
  bench.kernel.failWhen(null);
  await bench.advance(1_100_000);
  assertEquals([bench.holds(route(1)), bench.shown(route(1)).installed], [false, false]);
});

Deno.test("a route that somebody else has deleted already is gone: no failure", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernel.remove(bench.found(route(1)));
  await bench.silence(route(1));
  assertEquals(
    [bench.shown(route(1)).installed, bench.shown(route(1)).failures],
    [false, 0] as never,
  );
  assertEquals(bench.counters(route(1)).uninstallFailures, 0);
});

Deno.test("a session that goes down while the install is under way leaves no route", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernelWaits = true;
  bench.bringUp(route(1));
  await bench.advance(DETECT_US + 10_000);
  assertEquals(
    [bench.shownSession(route(1)).state, bench.kernel.pending > 0],
    ["down", true] as never,
  );
  await bench.answer();
  assertEquals([bench.holds(route(1)), bench.shown(route(1)).installed], [false, false]);
  assertEquals(bench.kernel.served.replace > 0, true);
});

Deno.test("a session that comes back while the removal is under way keeps its route", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernelWaits = true;
  await bench.advance(DETECT_US + 10_000);
  bench.bringUp(route(1));
  await bench.advance(10_000);
  await bench.answer();
  assertEquals([bench.holds(route(1)), bench.shown(route(1)).installed], [true, true]);
});

Deno.test("however often a session flips while the kernel is busy, at most one request waits", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernelWaits = true;
  const before = bench.kernel.pending;
  for (let i = 0; i < 20; i++) {
    bench.bringUp(route(1));
    bench.hear(route(1), State.AdminDown);
  }
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals(bench.kernel.pending - before, 1);
  await bench.answer();
  assertEquals(bench.holds(route(1)), true);
});

Deno.test("a wish that changes during a backoff is acted on at once", async () => {
  const bench = await Bench.started({}, route(1));
  const times = requests(bench, "replace");
  bench.bringUp(route(1));
  await alive(bench, 15_000_000);
  bench.kernel.failWhen(null);
  bench.hear(route(1), State.AdminDown);
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([bench.holds(route(1)), times.length > 7], [true, true]);
});

Deno.test("a wish that is new fails anew: its backoff starts from the beginning", async () => {
  const bench = await Bench.started({}, route(1));
  const times = requests(bench, "replace");
  bench.bringUp(route(1));
  await alive(bench, 15_000_000);
  const before = times.length;
  bench.hear(route(1), State.AdminDown);
  bench.bringUp(route(1));
  await alive(bench, 250_000);
  assertEquals(gaps(times.slice(before)), [100_000]);
});

Deno.test("a session that flips does not hurry a route that stays wanted", async () => {
  const bench = await Bench.started({}, route(1));
  const times = requests(bench, "replace");
  bench.bringUp(route(1), true);
  await alive(bench, 3_200_000);
  const before = times.length;
  for (let i = 0; i < 50; i++) {
    bench.hear(route(1), State.AdminDown, { flags: 1 });
    bench.bringUp(route(1), true);
    await bench.settle();
  }
  assertEquals([bench.shownSession(route(1)).flaps, times.length], [50, before]);
});

Deno.test("an install that failed while the session went down is counted, and not tried again", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernelWaits = true;
  bench.bringUp(route(1));
  await bench.settle();
  bench.hear(route(1), State.AdminDown);
  await bench.settle();
  bench.kernel.failWhen(({ kind }) => kind === "replace" ? "unreachable" : null);
  await bench.answer();
  const served = bench.kernel.served.replace;
  await bench.advance(1_000_000);
  assertEquals(bench.counters(route(1)).installFailures, 1);
  assertEquals([bench.shown(route(1)).failures, bench.kernel.served.replace], [1, served]);
  assertEquals(bench.shown(route(1)).kernel_error, null, "it is no longer wanted");
});

Deno.test("an install whose fate is unknown is removed when the session goes down", async () => {
  const bench = await Bench.started({}, route(1));
  // The kernel carries it out, but its answer is lost.
  bench.kernel.failWhen((request) => {
    if (request.kind !== "replace") return null;
    bench.kernel.put(bench.found(route(1)));
    return "busy";
  });
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.shown(route(1)).installed], [true, false]);
  bench.hear(route(1), State.AdminDown);
  await bench.settle();
  assertEquals(bench.holds(route(1)), false);
});

Deno.test("an install whose fate is known too late is removed as soon as it is known", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernelWaits = true;
  bench.bringUp(route(1));
  await bench.settle();
  bench.hear(route(1), State.AdminDown);
  await bench.settle();
  bench.kernel.failWhen((request) => {
    if (request.kind !== "replace" || request.route.table !== 254) return null;
    bench.kernel.put(bench.found(route(1)));
    return "busy";
  });
  await bench.answer();
  assertEquals([bench.holds(route(1)), bench.shown(route(1)).failures], [false, 1]);
});

Deno.test("removing what turns out not to be there is no withdrawal", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernel.failWhen(({ kind }) => kind === "replace" ? "busy" : null);
  bench.bringUp(route(1));
  await bench.settle();
  const asked = bench.kernel.served.delete;
  bench.hear(route(1), State.AdminDown);
  await bench.settle();
  assertEquals(bench.kernel.served.delete, asked + 1);
  assertEquals(
    [bench.counters(route(1)).withdraws, bench.told("route_withdrawn")],
    [0, []] as never,
  );
});

Deno.test("a kernel that is closed is asked no more", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernel.close();
  await bench.silence(route(1));
  await bench.advance(5_000_000);
  assertEquals(bench.counters(route(1)).uninstallFailures, 1);
  assertEquals(bench.told("route_uninstall_failed"), []);
});

Deno.test("a route that somebody removes while it is put back, and that is withdrawn then, is gone", async () => {
  const bench = await Bench.up({ mode: "passive" }, route(1));
  bench.kernelWaits = true;
  bench.transport.change("tun0", "10.0.0.1", null);
  bench.kernel.remove(bench.found(route(1)));
  await bench.settle();
  const gone = bench.manager.withdraw(route(1));
  await bench.answer();
  await gone;
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.manager.counts().routesInstalled], [false, 0]);
});

Deno.test("a route that others removed is put back, and whoever asks is told who removed it", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernel.remove(bench.found(route(1)));
  await bench.settle();
  const how = `removed by somebody (pid ${somebody.pid})`;
  const told = [...bench.told("route_removed_externally"), ...bench.told("route_reinstalled")];
  assertEquals(told.map(({ message }) => message), [how, how]);
  assertEquals(bench.shown(route(1)).reason, `${how}, back after 0.0 ms`);
});

// ── no_uninstall ──────────────────────────────────────────────────────────────────────────────────────

Deno.test("a no_uninstall route that is forgotten while its install is under way stays in the kernel", async () => {
  for (const how of ["session down", "withdraw"] as const) {
    const config = route(1, { noUninstall: true });
    const bench = await Bench.started({}, config);
    bench.kernelWaits = true;
    bench.bringUp(config);
    await bench.settle();
    const gone = how === "withdraw" ? bench.manager.withdraw(config) : null;
    if (gone === null) bench.hear(config, State.AdminDown);
    await bench.settle();
    await bench.answer();
    await gone;
    await bench.advance(35_000_000);
    assertEquals([bench.holds(config), bench.manager.book.installedCount], [true, 0], how);
  }
});

// ── Withdrawn and wanted again ────────────────────────────────────────────────────────────────────────

Deno.test("a withdrawal settles when the kernel has let the route go", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernelWaits = true;
  let settled = false;
  bench.manager.withdraw(route(1)).then(() => settled = true);
  await bench.settle();
  assertEquals([settled, [...bench.manager.routes()].length], [false, 0], "forgotten first");
  await bench.answer();
  assertEquals([settled, bench.holds(route(1))], [true, false]);
});

Deno.test("a withdrawal that the kernel refuses is insisted on, though the route is forgotten", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernel.failNext(3, "busy");
  bench.manager.withdraw(route(1));
  await bench.advance(1_000_000);
  assertEquals(bench.holds(route(1)), false);
  assertEquals(bench.manager.counts().routesInstalled, 0);
});

Deno.test("a route wanted again while its former self is leaving is absent until its session is Up", async () => {
  for (const failures of [0, 1, 2]) {
    const bench = await Bench.up({}, route(1));
    bench.kernelWaits = true;
    const gone = bench.manager.withdraw(route(1));
    await bench.settle();
    bench.kernel.failNext(failures, "busy");
    bench.register(route(1));
    await bench.answer();
    await gone;
    await bench.advance(200_000);
    assertEquals([bench.holds(route(1)), bench.manager.counts().routesInstalled], [false, 0]);
    bench.bringUp(route(1));
    await bench.advance(10_000_000 / 20);
    assertEquals([bench.holds(route(1)), bench.manager.counts().routesInstalled], [true, 1]);
  }
});

Deno.test("a route wanted again through another interface does not stop the removal of the former", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernel.failNext(2, "busy");
  bench.manager.withdraw(route(1));
  await bench.settle();
  const moved = route(1, { dev: "tun1" });
  bench.register(moved);
  await bench.advance(500_000);
  assertEquals(bench.kernel.routes({ table: 254 }), []);
  bench.bringUp(moved);
  await bench.settle();
  assertEquals(bench.kernel.routes({ table: 254 }), [bench.found(moved)]);
});

Deno.test("a no_uninstall route wanted again while it is leaving is not taken from the kernel", async () => {
  const config = route(1, { noUninstall: true });
  const bench = await Bench.started({}, config);
  bench.kernelWaits = true;
  bench.bringUp(config);
  await bench.settle();
  const gone = bench.manager.withdraw(config);
  bench.register(config);
  await bench.answer();
  await gone;
  await bench.advance(1_000_000);
  assertEquals([bench.holds(config), bench.kernel.served.delete], [
    true,
    bench.kernel.served.delete,
  ]);
  assertEquals(bench.counters(config).withdraws, 0);
});
