import { assert, assertEquals } from "@std/assert";
import type { RouteConfig } from "../../../src/config/config.ts";
import type { KernelRoute } from "../../../src/kernel/route.ts";
import { State } from "../../../src/protocol/packet.ts";
import { Bench, MAIN, PROBE_TABLE, PROTOCOL, route } from "./fixture.ts";

const INTERVAL_US = 30_000_000;

/** Another program deletes the route, and the notification of it is lost. */
function lose(bench: Bench, config: RouteConfig): void {
  assert(bench.silently(() => bench.kernel.remove(bench.found(config))), "it was not there");
}

/** A route of our protocol appears, or changes, and nobody is told. */
function slip(
  bench: Bench,
  config: RouteConfig,
  changes: Partial<KernelRoute> = {},
): void {
  bench.silently(() => bench.kernel.put({ ...bench.found(config), ...changes }));
}

function sweeps(bench: Bench): number {
  return bench.manager.reconciler.sweeps;
}

// ── What is put back ──────────────────────────────────────────────────────────────────────────────────

for (const mode of ["active", "passive"] as const) {
  Deno.test(`in ${mode} mode the sweep puts back a route that vanished, and says so`, async () => {
    const bench = await Bench.up({ mode }, route(1), route(2));
    lose(bench, route(1));
    assertEquals(bench.shown(route(1)).installed, true, "nobody has told");
    await bench.manager.sweep();
    await bench.settle();
    assertEquals([bench.holds(route(1)), bench.shown(route(1)).installed], [true, true]);
    const { reinstalls, installs } = bench.shown(route(1));
    assertEquals([reinstalls, installs, bench.shown(route(2)).reinstalls], [1, 2, 0]);
    const { counters } = bench.session(route(1))!.end;
    assertEquals([counters.reinstalls, counters.reconcileReinstalls], [1, 1]);
    assertEquals(bench.told("route_reinstalled").map(({ route, reason }) => [route!.dst, reason]), [
      ["10.1.0.1/32", "reconcile"],
    ]);
  });
}

Deno.test("a sweep that finds all as it should be asks the kernel for nothing but lists", async () => {
  const far = route(2, { table: 1_000_000 });
  const bench = await Bench.up({}, route(1), far, route(3, { noUninstall: true }));
  const { replace, delete: deleted } = bench.kernel.served;
  bench.clock.stall(1);
  for (let i = 0; i < 3; i++) await bench.manager.sweep();
  assertEquals([bench.kernel.served.replace, bench.kernel.served.delete], [replace, deleted]);
  assertEquals(sweeps(bench), 3);
});

Deno.test("routes in every table are looked at", async () => {
  const far = route(2, { table: 1_000_000, probe: "10.1.0.1" });
  const bench = await Bench.up({}, route(1), far);
  for (const each of [route(1), far]) lose(bench, each);
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.holds(far)], [true, true]);
});

// ── What counts as the same route ─────────────────────────────────────────────────────────────────────

Deno.test("a /16 does not stand in for a /24", async () => {
  const narrow = route(1, { dst: "10.9.0.0/24" });
  const bench = await Bench.up({}, narrow);
  lose(bench, narrow);
  slip(bench, route(1, { dst: "10.9.0.0/16" }));
  await bench.manager.sweep();
  await bench.settle();
  assertEquals(bench.holds(narrow), true);
});

for (
  const [what, changes] of [
    ["another source", { src: "10.0.0.9" }],
    ["no source", { src: null }],
    ["another next hop", { via: "10.0.0.7" }],
    ["no next hop", { via: null }],
    ["another interface", { ifindex: 77 }],
  ] as const
) {
  Deno.test(`the same destination with ${what} is another route, and is replaced by ours`, async () => {
    const bench = await Bench.up({}, route(1));
    lose(bench, route(1));
    slip(bench, route(1), changes);
    await bench.manager.sweep();
    await bench.settle();
    assertEquals(bench.kernel.routes({ table: MAIN }), [bench.found(route(1))]);
  });
}

Deno.test("the same route at another metric does not stand in for ours, and is left alone", async () => {
  const bench = await Bench.up({}, route(1));
  lose(bench, route(1));
  slip(bench, route(1), { metric: 50 });
  await bench.manager.sweep();
  await bench.settle();
  const metrics = bench.kernel.routes({ table: MAIN }).map(({ metric }) => metric);
  assertEquals(metrics, [0, 50]);
});

Deno.test("the same destination in another table is another route", async () => {
  const bench = await Bench.up({}, route(1));
  lose(bench, route(1));
  slip(bench, route(1, { table: 100 }));
  await bench.manager.sweep();
  await bench.settle();
  assertEquals(bench.holds(route(1)), true);
});

Deno.test("a route of another protocol is not taken for ours", async () => {
  const bench = await Bench.up({}, route(1));
  lose(bench, route(1));
  const theirs = { ...bench.found(route(1)), protocol: 3, metric: 50 };
  bench.silently(() => bench.kernel.put(theirs));
  await bench.manager.sweep();
  await bench.settle();
  assertEquals(bench.holds(route(1)), true);
  assertEquals(bench.kernel.has(theirs), true, "and is left alone");
});

// ── What is left alone ────────────────────────────────────────────────────────────────────────────────

Deno.test("a route that is withdrawn between the listing and the reinstall stays gone", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  lose(bench, route(1));
  lose(bench, route(2));
  bench.kernelWaits = true;
  const sweep = bench.manager.sweep();
  const gone = bench.manager.withdraw(route(1));
  await bench.answer();
  await Promise.all([sweep, gone]);
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.holds(route(2))], [false, true]);
  assertEquals(bench.told("route_reinstalled").map(({ route }) => route!.dst), ["10.1.0.2/32"]);
});

Deno.test("a route whose session went down between the listing and the reinstall stays gone", async () => {
  const bench = await Bench.up({}, route(1));
  lose(bench, route(1));
  bench.kernelWaits = true;
  const sweep = bench.manager.sweep();
  bench.hear(route(1), State.AdminDown);
  await bench.answer();
  await sweep;
  await bench.settle();
  assertEquals([bench.holds(route(1)), sweeps(bench)], [false, 1]);
});

Deno.test("a listing that is older than an install does not undo or repeat it", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernelWaits = true;
  const sweep = bench.manager.sweep();
  bench.bringUp(route(1));
  await bench.answer();
  await sweep;
  await bench.settle();
  const { installs, reinstalls } = bench.shown(route(1));
  assertEquals([bench.holds(route(1)), installs, reinstalls], [true, 1, 0]);
});

Deno.test("what the kernel has said since a listing began counts more than the listing", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernelWaits = true;
  const sweep = bench.manager.reconciler.sweep();
  await bench.settle();
  assertEquals(bench.entry(route(1)).changedAt, bench.clock.now());
  lose(bench, route(1));
  await bench.answer();
  await sweep;
  assertEquals([bench.holds(route(1)), sweeps(bench)], [false, 1]);
  await bench.manager.reconciler.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(1)), sweeps(bench)], [true, 2]);
});

Deno.test("a route whose installation waits for another try is left to it", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernel.failWhen(({ kind }) => kind === "replace" ? "unreachable" : null);
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([bench.entry(route(1)).unsettled, bench.shown(route(1)).failures], [true, 1]);
  bench.kernel.failWhen(null);
  bench.clock.stall(1);
  await bench.manager.sweep();
  await bench.advance(200_000);
  const { installs, reinstalls } = bench.shown(route(1));
  assertEquals([sweeps(bench), bench.holds(route(1)), installs, reinstalls], [1, true, 1, 0]);
});

Deno.test("a delete that carries no protocol still forgets the route", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernelWaits = true;
  const gone = bench.manager.withdraw(route(1));
  await bench.settle();
  // `ip route del` without `proto`: gone before our own delete arrives.
  bench.silently(() => bench.kernel.remove({ ...bench.inKernel(route(1)), protocol: 0 }));
  await bench.answer();
  await gone;
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(1)), [...bench.manager.routes()].length], [false, 0]);
  assertEquals(bench.manager.counts().routesInstalled, 0);
  assertEquals(bench.told("route_uninstall_failed"), []);
});

Deno.test("excluded destinations are neither put back nor removed", async () => {
  const bench = await Bench.up({ exclude: ["10.1.0.1", "10.1.0.2"] }, route(1), route(2));
  slip(bench, route(2));
  const { replace, delete: deleted } = bench.kernel.served;
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.holds(route(2))], [false, true]);
  assertEquals([bench.kernel.served.replace, bench.kernel.served.delete], [replace, deleted]);
  assertEquals(sweeps(bench), 1);
});

Deno.test("a route whose link is gone is skipped, and put back when the link returns", async () => {
  const bench = await Bench.up({}, route(1));
  bench.transport.change("tun0", "10.0.0.1", "interface tun0 is gone");
  lose(bench, route(1));
  const asked = bench.kernel.served.replace;
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.manager.reconciler.skippedNoLink], [false, 1]);
  assertEquals(bench.kernel.served.replace, asked);
  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.shown(route(1)).installed], [true, true]);
  assertEquals(bench.told("route_reinstalled").map(({ reason }) => reason), ["endpoint"]);
  assertEquals(bench.session(route(1))!.end.counters.reconcileReinstalls, 0);
});

Deno.test("a route that is there without being wanted there is removed", async () => {
  const bench = await Bench.started({}, route(1), route(2));
  slip(bench, route(1));
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.manager.counts().routesInstalled], [false, 0]);
  assertEquals(bench.told("route_withdrawn").length, 1);
});

Deno.test("a no_uninstall route that is there without being wanted there stays", async () => {
  const config = route(1, { noUninstall: true });
  const bench = await Bench.started({}, config);
  slip(bench, config);
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(config), sweeps(bench)], [true, 1]);
});

Deno.test("routes of our protocol that nobody registered are left alone", async () => {
  const bench = await Bench.up({}, route(1));
  slip(bench, route(9));
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(9)), bench.holds(route(1))], [true, true]);
});

// ── What keeps failing ────────────────────────────────────────────────────────────────────────────────

Deno.test("a reinstall that keeps failing backs off by itself and does not flood the log", async () => {
  const bench = await Bench.up({ mode: "passive" }, route(1), route(2));
  lose(bench, route(1));
  bench.kernel.failWhen((request) =>
    request.kind === "replace" && request.route.dst === "10.1.0.1/32" ? "unreachable" : null
  );
  for (let i = 0; i < 300; i++) {
    await bench.manager.sweep();
    await bench.advance(100_000);
  }
  const { failures } = bench.shown(route(1));
  assert(failures >= 7 && failures <= 10, `${failures} requests in 30 s`);
  assert(bench.told("route_install_failed").length <= 4);
  assertEquals(sweeps(bench) >= 300, true);
  bench.kernel.failWhen(null);
  await bench.advance(10_000_000);
  assertEquals([bench.holds(route(1)), bench.session(route(1))!.end.counters.reconcileReinstalls], [
    true,
    1,
  ]);
});

Deno.test("a sweep that cannot list is counted and told, changes nothing, and the next one mends", async () => {
  const bench = await Bench.up({}, route(1));
  lose(bench, route(1));
  bench.kernel.failWhen(({ kind }) => kind === "list" ? "busy" : null);
  await bench.manager.sweep();
  assertEquals(bench.manager.reconciler.failures, 1);
  assertEquals(bench.told("reconcile_failed").map(({ reason }) => reason), ["Out of memory"]);
  assertEquals(bench.session(route(1))!.end.counters.reconcileFailures, 1);
  assertEquals(bench.shown(route(1)).installed, true);
  bench.kernel.failWhen(null);
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.manager.reconciler.lastError], [true, null]);
});

// ── When ──────────────────────────────────────────────────────────────────────────────────────────────

Deno.test("the sweep comes every interval, by itself", async () => {
  const bench = await Bench.up({ mode: "passive" }, route(1));
  lose(bench, route(1));
  await bench.advance(INTERVAL_US - 1_000_000);
  assertEquals([bench.holds(route(1)), sweeps(bench)], [false, 0]);
  await bench.advance(2_000_000);
  assertEquals([bench.holds(route(1)), sweeps(bench)], [true, 1]);
  await bench.advance(5 * INTERVAL_US);
  assertEquals(sweeps(bench), 6);
});

Deno.test("an interval of 0 means no sweeps", async () => {
  const bench = await Bench.up({ mode: "passive", reconcileIntervalUs: 0 }, route(1));
  lose(bench, route(1));
  await bench.advance(3_600_000_000);
  assertEquals([bench.holds(route(1)), sweeps(bench)], [false, 0]);
  assert(bench.transport.maintained >= 3_599, "time has passed for the rest");
});

Deno.test("sweeps do not overlap", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernelWaits = true;
  const first = bench.manager.reconciler.sweep();
  await bench.manager.reconciler.sweep();
  const { pending } = bench.kernel;
  assertEquals([pending, sweeps(bench)], [1, 0]);
  await bench.answer();
  await first;
  assertEquals([sweeps(bench), bench.kernel.pending], [1, 0]);
});

Deno.test("our probe routes are no business of the sweep for routes", async () => {
  const bench = await Bench.up({}, route(1));
  assertEquals(bench.kernel.routes({ table: PROBE_TABLE, protocol: PROTOCOL }).length, 1);
  await bench.manager.reconciler.sweep();
  await bench.settle();
  assertEquals(bench.probeRoutes(), ["0.0.0.0/0"]);
});
