import { assertEquals, assertStringIncludes } from "@std/assert";
import type { KernelRoute, Route } from "../../../src/kernel/route.ts";
import { Bench, PROBE_TABLE, PROTOCOL, route } from "./fixture.ts";

const RULE = { mark: 44_880, table: PROBE_TABLE, priority: 90, protocol: PROTOCOL };

/** A probe route as a run that was killed left it. */
function leftover(dst: string, changes: Partial<KernelRoute> = {}): KernelRoute {
  return {
    table: PROBE_TABLE,
    dst,
    via: "10.0.0.2",
    src: null,
    ifindex: 2,
    protocol: PROTOCOL,
    metric: 1,
    ...changes,
  };
}

const DEFAULT = "0.0.0.0/0";
/** The far end of the link is the peer itself. */
const onLink = (n: number) => route(n, { via: `10.0.0.${n}`, probe: `10.0.0.${n}` });

Deno.test("the rule is added at the start and removed at the end, with every probe route", async () => {
  const bench = await Bench.started({}, route(1), route(2), route(3, { via: "10.0.0.9" }));
  assertEquals([bench.kernel.rules(), bench.probeRoutes()], [[RULE], [DEFAULT, "10.1.0.3/32"]]);
  await bench.manager.stop("keep");
  assertEquals([bench.kernel.rules(), bench.probeRoutes()], [[], []]);
});

Deno.test("sessions with one next hop share one probe route out of their interface, however many they are", async () => {
  const routes = Array.from({ length: 50 }, (_, i) => route(i + 1));
  const bench = await Bench.started({}, ...routes);
  const { ifindex } = bench.found(route(1));
  assertEquals(bench.kernel.routes({ table: PROBE_TABLE }), [leftover(DEFAULT, { ifindex })]);
});

Deno.test("a session with another next hop than its interface's first has a probe route of its own", async () => {
  const bench = await Bench.started({}, route(1), route(2, { via: "10.0.0.9" }), route(3));
  const ways = () => bench.kernel.routes({ table: PROBE_TABLE }).map(({ dst, via }) => [dst, via]);
  assertEquals(ways(), [[DEFAULT, "10.0.0.2"], ["10.1.0.2/32", "10.0.0.9"]]);
  await bench.manager.withdraw(route(1));
  await bench.settle();
  assertEquals(ways().length, 2, "one session still uses it");
  await bench.manager.withdraw(route(3));
  await bench.settle();
  assertEquals(ways(), [["10.1.0.2/32", "10.0.0.9"]]);
  bench.register(route(4, { via: "10.0.0.9" }));
  await bench.settle();
  assertEquals(ways(), [["10.1.0.2/32", "10.0.0.9"], [DEFAULT, "10.0.0.9"]]);
});

Deno.test("a peer that is its own next hop has a probe route of its own", async () => {
  const bench = await Bench.started({}, onLink(5), onLink(6));
  assertEquals(bench.probeRoutes(), ["10.0.0.5/32", "10.0.0.6/32"]);
});

Deno.test("a session's probe route is there whether or not its route is installed", async () => {
  const bench = await Bench.up({}, route(1));
  await bench.silence(route(1));
  assertEquals([bench.holds(route(1)), bench.probeRoutes()], [false, [DEFAULT]]);
});

Deno.test("routes that share a session share its probe route; the last one out closes it", async () => {
  const shared = route(2, { probe: "10.1.0.1" });
  const bench = await Bench.started({}, route(1), shared);
  assertEquals(bench.probeRoutes(), [DEFAULT]);
  await bench.manager.withdraw(route(1));
  await bench.settle();
  assertEquals(bench.probeRoutes(), [DEFAULT]);
  await bench.manager.withdraw(shared);
  await bench.settle();
  assertEquals(bench.probeRoutes(), []);
});

Deno.test("two sessions that probe one address through two interfaces have a probe route each", async () => {
  const other = route(2, { probe: "10.1.0.1", dev: "tun1", via: "10.0.1.2", src: "10.0.1.1" });
  const bench = await Bench.started({}, route(1), other);
  const ways = () =>
    bench.kernel.routes({ table: PROBE_TABLE }).map(({ via, metric }) => `${via} ${metric}`);
  assertEquals(ways(), ["10.0.0.2 1", "10.0.1.2 2"]);
  await bench.manager.withdraw(route(1));
  await bench.settle();
  assertEquals(ways(), ["10.0.1.2 2"]);
  bench.register(route(1));
  await bench.settle();
  assertEquals(ways(), ["10.0.0.2 1", "10.0.1.2 2"]);
});

Deno.test("sessions of two local addresses to one peer share its own probe route till the last", async () => {
  const other = { ...onLink(5), dst: "10.7.0.0/16", src: "10.0.0.3" };
  const bench = await Bench.started({}, onLink(5), other);
  assertEquals(bench.probeRoutes(), ["10.0.0.5/32"]);
  await bench.manager.withdraw(onLink(5));
  await bench.settle();
  assertEquals(bench.probeRoutes(), ["10.0.0.5/32"]);
  await bench.manager.withdraw(other);
  await bench.settle();
  assertEquals(bench.probeRoutes(), []);
});

Deno.test("a point-to-point link needs no probe route", async () => {
  const bench = new Bench();
  bench.transport.pointToPointDevices.add("tun0");
  await bench.manager.start();
  bench.register(route(1));
  bench.register(route(2, { dev: "eth0" }));
  await bench.advance(5_000_000);
  const devices = bench.kernel.routes({ table: PROBE_TABLE }).map(({ ifindex }) => ifindex);
  assertEquals(devices, [bench.kernel.ifindex("eth0")]);
});

Deno.test("a probe route waits for its interface, and is made when the endpoint opens", async () => {
  const bench = new Bench();
  bench.transport.closedDevices.set("tun0", "interface tun0 does not exist");
  await bench.manager.start();
  bench.register(route(1));
  await bench.advance(5_000_000);
  assertEquals(bench.probeRoutes(), []);
  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.settle();
  assertEquals(bench.probeRoutes(), [DEFAULT]);
});

Deno.test("what a killed run left is adopted where it is wanted, and removed where it is not", async () => {
  const bench = new Bench();
  bench.kernel.setRule(RULE, true);
  for (const dst of [DEFAULT, "10.1.0.2/32"]) bench.kernel.put(leftover(dst));
  bench.register(route(1));
  await bench.manager.start();
  await bench.settle();
  assertEquals([bench.kernel.rules(), bench.probeRoutes()], [[RULE], [DEFAULT]]);
});

Deno.test("a left probe route on the same address with another metric goes, ours stays", async () => {
  const bench = await Bench.started({}, route(1));
  bench.silently(() => bench.kernel.put(leftover(DEFAULT, { metric: 7 })));
  await bench.manager.sweep();
  await bench.settle();
  assertEquals(bench.kernel.routes({ table: PROBE_TABLE }).map(({ metric }) => metric), [1]);
});

Deno.test("routes of other protocols in our table are left alone", async () => {
  const bench = await Bench.started({}, route(1));
  const theirs = leftover("10.77.0.0/16", { protocol: 4 });
  bench.kernel.put(theirs);
  await bench.manager.sweep();
  await bench.settle();
  assertEquals(bench.kernel.has(theirs), true);
});

Deno.test("the sweep puts back a probe route and the rule when somebody removed them", async () => {
  const bench = await Bench.started({}, route(1));
  bench.silently(() => {
    bench.kernel.remove(leftover(DEFAULT, { ifindex: 0 }));
    bench.kernel.setRule(RULE, false);
  });
  assertEquals([bench.kernel.rules(), bench.probeRoutes()], [[], []]);
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.kernel.rules(), bench.probeRoutes()], [[RULE], [DEFAULT]]);
});

Deno.test("a session that gets no answer has its probe route renewed without waiting for a sweep", async () => {
  const bench = await Bench.started({ reconcileIntervalUs: 0 }, route(1));
  bench.silently(() => bench.kernel.remove(leftover(DEFAULT, { ifindex: 0 })));
  assertEquals(bench.probeRoutes(), []);
  await bench.advance(2_000_000);
  assertEquals(bench.probeRoutes(), [DEFAULT]);
});

Deno.test("thousands of sessions without an answer renew their probe route a few times a second together", async () => {
  const routes = Array.from({ length: 200 }, (_, i) => route(i + 1));
  const bench = await Bench.started({ reconcileIntervalUs: 0 }, ...routes);
  await bench.advance(5_000_000);
  const [{ requests }, sent] = [bench.kernel.counters, bench.transport.sent.length];
  await bench.advance(30_000_000);
  const probes = bench.transport.sent.length - sent;
  assertEquals(probes >= 400, true, `${probes} probes`);
  const renewals = bench.kernel.counters.requests - requests;
  assertEquals(renewals > 0 && renewals < 10, true, `${renewals} requests`);
});

Deno.test("a probe route asked for again while the kernel is busy with it is asked for once more", async () => {
  const bench = await Bench.started({ reconcileIntervalUs: 0 }, route(1), route(2));
  bench.kernelWaits = true;
  const { requests } = bench.kernel.counters;
  bench.transport.change("tun0", "10.0.0.1", "address 10.0.0.1 is gone");
  bench.transport.change("tun0", "10.0.0.1", null);
  await bench.settle();
  assertEquals(bench.kernel.counters.requests, requests + 1, "the first of two");
  await bench.answer();
  await bench.answer();
  assertEquals(bench.kernel.counters.requests, requests + 2);
});

Deno.test("a probe route or rule that the kernel refuses is counted and told with what it is", async () => {
  const bench = new Bench();
  const refuse = (request: { kind: string; route?: Route }) =>
    request.kind === "addRule" || request.route?.table === PROBE_TABLE ? "permission" : null;
  bench.kernel.failWhen((request) => refuse(request) as "permission" | null);
  await bench.manager.start();
  bench.register(route(1));
  await bench.settle();
  const told = bench.told("probe_route_failed");
  assertEquals(told[0]!.message, "the rule for marked probes");
  assertStringIncludes(told.map(({ message }) => message).join(), "the probe route to 0.0.0.0/0");
  assertEquals(told[0]!.reason, "Operation not permitted");
  for (let i = 0; i < 100; i++) await bench.manager.sweep();
  await bench.settle();
  const { probePath } = bench.manager;
  assertEquals([probePath.failures > 100, bench.told("probe_route_failed").length < 20], [
    true,
    true,
  ]);
  bench.kernel.failWhen(null);
  await bench.manager.sweep();
  await bench.settle();
  assertEquals([bench.probeRoutes(), probePath.lastError], [[DEFAULT], null]);

  const before = bench.told("probe_route_failed").length;
  bench.kernel.failWhen(({ kind }) => kind === "addRule" ? "permission" : null);
  await bench.manager.sweep();
  assertEquals(bench.told("probe_route_failed").length, before + 1, "the first of a new row");
});

Deno.test("a sweep that is under way at the end brings neither the rule nor a route back", async () => {
  const bench = await Bench.started({}, route(1));
  bench.kernelWaits = true;
  const sweep = bench.manager.sweep();
  const stopped = bench.manager.stop("keep");
  await bench.settle();
  await bench.answer();
  await Promise.all([sweep, stopped]);
  await bench.advance(5_000_000);
  assertEquals([bench.kernel.rules(), bench.probeRoutes()], [[], []]);
});
