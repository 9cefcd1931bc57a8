import { assertEquals } from "@std/assert";
import { State } from "../../../src/protocol/packet.ts";
import { Bench, route } from "./fixture.ts";

for (const [onShutdown, remains] of [["keep", true], ["withdraw", false]] as const) {
  Deno.test(`at the end every peer is told once, and routes are left to "${onShutdown}"`, async () => {
    const bench = await Bench.up({}, route(1), route(2), route(3));
    await bench.silence(route(3), route(1), route(2));
    const before = bench.transport.sent.length;
    await bench.manager.stop(onShutdown);
    await bench.advance(120_000_000);
    const last = bench.transport.sent.slice(before);
    assertEquals(last.map(({ packet }) => packet.state), new Array(3).fill(State.AdminDown));
    assertEquals(new Set(last.map(({ peer }) => peer)).size, 3);
    assertEquals([bench.holds(route(1)), bench.holds(route(2)), bench.holds(route(3))], [
      remains,
      remains,
      false,
    ]);
    assertEquals(bench.manager.counts().routesInstalled, remains ? 2 : 0);
  });
}

Deno.test("at the end a passive daemon withdraws or keeps as configured, too", async () => {
  for (const [onShutdown, remains] of [["keep", true], ["withdraw", false]] as const) {
    const bench = await Bench.started({ mode: "passive" }, route(1));
    await bench.manager.stop(onShutdown);
    assertEquals(bench.holds(route(1)), remains);
  }
});

Deno.test("at the end no_uninstall routes stay, whatever is configured", async () => {
  const config = route(1, { noUninstall: true });
  const bench = await Bench.up({}, config, route(2));
  await bench.manager.stop("withdraw");
  assertEquals([bench.holds(config), bench.holds(route(2))], [true, false]);
});

Deno.test("a session that is admin down already is not told twice", async () => {
  const bench = await Bench.up({}, route(1));
  bench.manager.setAdmin({ dev: "tun0", src: "10.0.0.1", peer: "10.1.0.1" }, "down");
  await bench.advance(1_000_000);
  await bench.manager.stop("keep");
  await bench.advance(1_000_000);
  const farewells = bench.sent(route(1)).filter(({ state }) => state === State.AdminDown);
  assertEquals(farewells.length, 1);
});

Deno.test("a removal that the kernel refuses at the end is insisted on", async () => {
  const bench = await Bench.up({}, route(1));
  bench.kernel.failNext(3, "busy");
  const stopped = bench.manager.stop("withdraw");
  await bench.advance(1_000_000);
  await stopped;
  assertEquals([bench.holds(route(1)), bench.kernel.rules()], [false, []]);
  const farewells = bench.sent(route(1)).filter(({ state }) => state === State.AdminDown);
  assertEquals(farewells.length, 1, "and nobody hears more of it");
  assertEquals(bench.clock.wakesAt, Infinity, "then the loop is at rest");
});

Deno.test("a withdrawal that is under way at the end is waited for, also when routes are kept", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  bench.kernel.failNext(2, "busy");
  bench.manager.withdraw(route(1));
  let ended = false;
  bench.manager.stop("keep").then(() => ended = true);
  await bench.settle();
  assertEquals(ended, false);
  await bench.advance(1_000_000);
  assertEquals([ended, bench.holds(route(1)), bench.holds(route(2))], [true, false, true]);
});

Deno.test("what peers say after the end changes nothing", async () => {
  const bench = await Bench.up({}, route(1));
  await bench.manager.stop("withdraw");
  const sent = bench.transport.sent.length;
  bench.bringUp(route(1));
  await bench.advance(10_000_000);
  assertEquals([bench.holds(route(1)), bench.transport.sent.length], [false, sent]);
});

Deno.test("a daemon that is stopping begins no session, whoever asks", async () => {
  const bench = await Bench.up({}, route(1));
  const stopped = bench.manager.stop("keep");
  const answer = bench.manager.register(route(2), "api");
  assertEquals(answer.ok ? "" : answer.message, "the daemon is stopping");
  const { dev, src, probe: peer } = route(1);
  assertEquals(bench.manager.setAdmin({ dev, src, peer }, "up").ok, false);
  await stopped;
  assertEquals([...bench.manager.sessions()].map(({ state }) => state), ["admin_down"]);
});
