import { assertEquals } from "@std/assert";
import { State } from "../../../src/protocol/packet.ts";
import { Bench, DETECT_US, route } from "./fixture.ts";

const GONE = "interface tun0 is gone";

Deno.test("a session whose endpoint cannot open is Down and says why; when it opens it goes on", async () => {
  const bench = new Bench();
  bench.transport.closedDevices.set("tun0", "address 10.0.0.1 is not on this host");
  await bench.manager.start();
  bench.register(route(1));
  await bench.advance(60_000_000);
  const { state, reason } = bench.shownSession(route(1));
  const expected = "endpoint: address 10.0.0.1 is not on this host";
  assertEquals([state, reason], ["down", expected] as never);
  assertEquals(bench.shown(route(1)).reason, `session: ${expected}`);
  assertEquals(bench.transport.sent, []);

  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.advance(0);
  assertEquals(
    bench.sent(route(1)).length,
    1,
    "the peer is tried at once, not when the backoff ends",
  );
  assertEquals(bench.told("endpoint_opened").map(({ session }) => session), [
    { dev: "tun0", src: "10.0.0.1", peer: "" },
  ]);
  await bench.advance(300_000);
  assertEquals(bench.sent(route(1)).length, 2, "and the backoff starts over");
  assertEquals(bench.shownSession(route(1)).reason, "never_up");
});

Deno.test("an endpoint that is lost is told once, with the reason; its sessions time out", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  bench.transport.change("tun0", "10.0.0.1", GONE);
  bench.transport.change("tun0", "10.0.0.1", "interface tun0 does not exist");
  assertEquals(bench.told("endpoint_lost").map(({ reason }) => reason), [GONE]);
  assertEquals(bench.shownSession(route(1)).state, "up", "until the detect time has passed");
  await bench.advance(DETECT_US + 1_000);
  assertEquals(bench.shownSession(route(1)).reason, "endpoint: interface tun0 does not exist");
  assertEquals(bench.holds(route(1)), false);
  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.advance(0);
  assertEquals(bench.told("endpoint_opened").length, 1);
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.holds(route(2))], [true, false]);
});

Deno.test("a link that comes back up is no opening, but routes are put back and peers tried", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  await bench.silence(route(2), route(1));
  bench.silently(() => bench.kernel.remove(bench.found(route(1))));
  await bench.advance(5_000_000);
  bench.bringUp(route(1));
  bench.silently(() => bench.kernel.remove(bench.found(route(1))));
  await bench.settle();
  const sent = bench.sent(route(2)).length;
  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.advance(0);
  assertEquals(bench.told("endpoint_opened"), []);
  assertEquals(bench.holds(route(1)), true);
  assertEquals(bench.sent(route(2)).length, sent + 1);
});

Deno.test("a route that could not be put back without its link does not wait when the link returns", async () => {
  const bench = await Bench.up({ mode: "passive" }, route(1));
  bench.silently(() => bench.kernel.remove(bench.found(route(1))));
  bench.kernel.failWhen(({ kind }) => kind === "replace" ? "no_device" : null);
  await bench.manager.sweep();
  await bench.advance(25_000_000);
  bench.kernel.failWhen(null);
  assertEquals([bench.holds(route(1)), bench.shown(route(1)).failures > 7], [false, true]);
  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.settle();
  assertEquals(bench.holds(route(1)), true);
});

Deno.test("only the sessions of the endpoint that changed are touched", async () => {
  const other = route(2, { dev: "tun1" });
  const bench = await Bench.up({}, route(1), other);
  const { installs } = bench.shown(other);
  bench.transport.change("tun0", "10.0.0.1", GONE);
  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.settle();
  assertEquals([bench.shown(route(1)).reinstalls, bench.shown(other).installs], [1, installs]);
});

Deno.test("interfaces and addresses are looked at every second", async () => {
  const bench = await Bench.started({});
  await bench.advance(10_000_000);
  assertEquals(bench.transport.maintained, 10);
});

Deno.test("a datagram at an endpoint that nobody uses any more is counted", async () => {
  const bench = await Bench.up({}, route(1));
  const endpoint = [...bench.transport.endpoints()][0]!;
  await bench.manager.withdraw(route(1));
  bench.transport.receiver.datagram(endpoint, 1, new DataView(new ArrayBuffer(40)), 0, 40);
  bench.transport.receiver.endpointChanged(endpoint);
  bench.transport.receiver.sendFailed(endpoint, 1, "connection refused");
  assertEquals(bench.manager.counts().unknownPeerPackets, 1);
});

Deno.test("the last word to the peer is sent before the socket is closed", async () => {
  const bench = await Bench.up({}, route(1));
  await bench.manager.withdraw(route(1));
  assertEquals(bench.sent(route(1)).at(-1)!.state, State.AdminDown);
});
