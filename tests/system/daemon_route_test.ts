import { assert, assertEquals } from "@std/assert";
import type { Daemon } from "./daemon.ts";
import {
  bothInstalled,
  bothUp,
  deafen,
  DETECT_MS,
  eventually,
  hasRoute,
  hear,
  pause,
  RECONCILE_MS,
  RECOVER_MS,
  routes,
  SLACK_MS,
  TwoHosts,
  UP_MS,
} from "./harness.ts";

async function noneInstalled(hosts: TwoHosts): Promise<boolean> {
  return !(await hasRoute(hosts, hosts.a)) && !(await hasRoute(hosts, hosts.b));
}

for (
  const { how, env, mode } of [
    { how: "in batches", env: {}, mode: "recvmmsg/sendmmsg" },
    { how: "by receive() and send()", env: { LIVENESSD_PLAIN_UDP: "1" }, mode: "receive/send" },
  ]
) {
  Deno.test(`packets moved ${how}: a route lives exactly as long as its path`, async () => {
    await using hosts = await TwoHosts.create("route");
    const [a, b] = await bothUp(hosts, { env });
    const status = await a.json("status");
    assert(status.transport.includes(mode), status.transport);

    // Silence, and again: recovery must not wear out.
    for (let round = 1; round <= 2; round++) {
      await hosts.cut();
      await eventually("withdrawn", DETECT_MS + SLACK_MS, () => noneInstalled(hosts));
      const [session] = await a.json("sessions");
      assertEquals([session.state, session.reason, session.flaps], ["down", "timeout", round]);
      await hosts.restore();
      await eventually("back", RECOVER_MS + SLACK_MS, () => bothInstalled(hosts));
    }
    assert(a.running && b.running);
  });
}

Deno.test("a path that is cut one way is cut for both", async () => {
  await using hosts = await TwoHosts.create("oneway");
  const [a, b] = await bothUp(hosts);
  await deafen(hosts.a);
  await eventually("withdrawn", 2 * DETECT_MS + SLACK_MS, () => noneInstalled(hosts));
  const reason = (daemon: Daemon) =>
    daemon.events("session_state").find(({ to }) => to === "down")?.reason;
  // What b hears is that a has gone down; it does not wait for a silence of its own.
  assertEquals([reason(a), reason(b)], ["timeout", "remote_down"]);
  await hear(hosts.a);
  await eventually("back", RECOVER_MS + SLACK_MS, () => bothInstalled(hosts));
});

Deno.test("a route that another process deletes or replaces is put back", async () => {
  await using hosts = await TwoHosts.create("repair");
  const [a] = await bothUp(hosts);
  const { dst, via } = hosts.routeOf(hosts.a);
  const { namespace } = hosts.a;

  await namespace.ip(`route del ${dst} via ${via}`);
  await eventually("repaired", RECONCILE_MS + SLACK_MS, () => hasRoute(hosts, hosts.a));

  await namespace.ip(`route replace ${dst} dev lo proto bgp`);
  await eventually("repaired", RECONCILE_MS + SLACK_MS, () => hasRoute(hosts, hosts.a));
  assertEquals((await routes(hosts.a, `exact ${dst}`)).length, 1);

  const [route] = await a.json("routes");
  assertEquals([route.reinstalls, route.installed], [2, true]);
  assertEquals(await a.metric("route_reinstalls_total"), 2);
  assertEquals((await a.json("sessions"))[0].flaps, 0);
});

Deno.test("routes that are not ours are left alone from start to end", async () => {
  await using hosts = await TwoHosts.create("foreign");
  const { a } = hosts;
  const foreign = [
    "10.9.0.0/16 via 10.0.0.2 proto static",
    "10.9.1.0/24 via 10.0.0.2 proto bgp",
    "10.2.0.0/16 via 10.0.0.2 proto bgp",
  ];
  await a.namespace.ipBatch(foreign.map((route) => `route add ${route}`));
  const before = await a.namespace.ip("route show 10.9.0.0/16");
  const [daemon] = await bothUp(hosts);
  await eventually("three sweeps", 3 * RECONCILE_MS + SLACK_MS, async () => {
    const { reconciler, uptime_s } = await daemon.json("status");
    return reconciler.last_run !== null && uptime_s > 3.5 * RECONCILE_MS / 1_000;
  });
  await daemon.stop();
  assertEquals(await a.namespace.ip("route show 10.9.0.0/16"), before);
  assertEquals((await routes(a)).map(({ dst }) => dst).toSorted(), ["10.2.0.0/16", "10.9.1.0/24"]);
});

Deno.test("a withdrawn route on Ethernet proves itself alive by the probe path alone", async () => {
  await using hosts = await TwoHosts.create("probe");
  const { a, b } = hosts;
  // No sweep that would make the probe route a second time.
  const kernel = { protocol: "bgp", reconcile_interval: "0s" };
  const daemon = await hosts.start(a, hosts.configOf(a, { kernel }));
  await eventually(
    "the probe route",
    UP_MS + SLACK_MS,
    async () => (await routes(a, "table 44880")).length === 1,
  );
  const [probe] = await routes(a, "table 44880");
  assertEquals([probe.dst, probe.gateway, probe.dev], ["default", b.link, "link0"]);
  assert((await a.namespace.ip("rule")).includes("fwmark 0xaf50 lookup 44880"));
  // No route of any kind leads to the peer, and none is installed while it is silent.
  await assertNoRouteTo(hosts, b.address);
  await eventually(
    "probes sent",
    SLACK_MS,
    async () => await daemon.metric("control_packets_tx_total") >= 2,
  );
  assertEquals(await hasRoute(hosts, a), false);

  await hosts.start(b);
  await eventually("up", UP_MS + RECOVER_MS + SLACK_MS, () => bothInstalled(hosts));
});

async function assertNoRouteTo(hosts: TwoHosts, address: string): Promise<void> {
  const found = await hosts.a.namespace.ip(`route get ${address}`).catch((error: Error) =>
    error.message
  );
  assert(found.includes("unreachable"), found);
}

Deno.test("passive mode installs at once and keeps the route whatever happens", async () => {
  await using hosts = await TwoHosts.create("passive");
  const { a } = hosts;
  const daemon = await hosts.start(a, hosts.configOf(a, { mode: "passive" }));
  await eventually("installed", UP_MS + SLACK_MS, () => hasRoute(hosts, a));
  const peer = await hosts.start(hosts.b);
  await eventually(
    "up",
    UP_MS + SLACK_MS,
    async () => (await daemon.json("sessions"))[0].state === "up",
  );
  await peer.kill();
  await eventually(
    "down",
    DETECT_MS + SLACK_MS,
    async () => (await daemon.json("sessions"))[0].state === "down",
  );
  await pause(DETECT_MS);
  assert(await hasRoute(hosts, a));
});

Deno.test("two routes share a session, which ends with the last of them", async () => {
  await using hosts = await TwoHosts.create("shared");
  const { a, b } = hosts;
  const [daemon] = await bothUp(hosts);
  const other = [
    "10.77.0.0/16",
    "via",
    b.link,
    "dev",
    "link0",
    "src",
    a.address,
    "probe",
    b.address,
  ];
  const added = await daemon.cli("route", "add", ...other);
  assertEquals(added.code, 0, added.stderr);
  await eventually("second route", SLACK_MS, async () => (await routes(a)).length === 2);
  assertEquals((await daemon.json("sessions"))[0].routes, 2);

  const own = [`${b.address}/32`, "via", b.link, "dev", "link0", "src", a.address];
  const removed = await daemon.cli("route", "del", ...own);
  assertEquals(removed.code, 0, removed.stderr);
  assertEquals((await routes(a)).map(({ dst }) => dst), ["10.77.0.0/16"]);
  assertEquals((await daemon.json("sessions"))[0].state, "up");

  assertEquals((await daemon.cli("route", "del", ...other.slice(0, 7))).code, 0);
  assertEquals([await routes(a), await daemon.json("sessions")], [[], []]);
  assertEquals((await daemon.cli("route", "del", ...own)).code, 1);
});
