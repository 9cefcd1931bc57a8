import { assertEquals } from "@std/assert";
import {
  bothUp,
  DETECT_MS,
  eventually,
  hasRoute,
  type Host,
  routes,
  SLACK_MS,
  TwoHosts,
} from "./harness.ts";

/** How many probe rules and probe routes a host has. */
async function probePath(host: Host): Promise<{ rules: number; routes: number }> {
  const rules = (await host.namespace.ip("rule")).split("lookup 44880").length - 1;
  return { rules, routes: (await routes(host, "table 44880")).length };
}

for (const policy of ["keep", "withdraw"] as const) {
  Deno.test(`SIGTERM with on_shutdown ${policy}: an orderly end that the peer hears of`, async () => {
    await using hosts = await TwoHosts.create("term");
    const kernel = { protocol: "bgp", reconcile_interval: "1s", on_shutdown: policy };
    const [daemon, peer] = await bothUp(hosts, {}, { kernel });
    assertEquals(await probePath(hosts.a), { rules: 1, routes: 1 });

    assertEquals(await daemon.stop(), 0);
    assertEquals(await hasRoute(hosts, hosts.a), policy === "keep");
    assertEquals(await probePath(hosts.a), { rules: 0, routes: 0 });
    assertEquals(await exists(daemon.socket), false);
    await eventually(
      "the peer's withdrawal",
      SLACK_MS,
      async () => !(await hasRoute(hosts, hosts.b)),
    );
    assertEquals((await peer.json("sessions"))[0].reason, "remote_admin");
  });
}

Deno.test("what a killed daemon left is adopted by the next and gone at its end", async () => {
  await using hosts = await TwoHosts.create("kill");
  const { a } = hosts;
  const [daemon, peer] = await bothUp(hosts);
  await daemon.kill();
  assertEquals(await hasRoute(hosts, a), true);
  assertEquals(await probePath(a), { rules: 1, routes: 1 });
  assertEquals(await exists(daemon.socket), true);
  await eventually(
    "the peer's withdrawal",
    DETECT_MS + SLACK_MS,
    async () => !(await hasRoute(hosts, hosts.b)),
  );

  const next = await hosts.start(a);
  await eventually(
    "up",
    3_000 + SLACK_MS,
    async () => (await next.json("sessions").catch(() => []))[0]?.state === "up",
  );
  assertEquals([await hasRoute(hosts, a), (await routes(a)).length], [true, 1]);
  assertEquals(await probePath(a), { rules: 1, routes: 1 });
  await eventually(
    "the peer to hear of it",
    SLACK_MS,
    async () => (await peer.json("sessions"))[0].state === "up",
  );
  assertEquals(await next.stop(), 0);
  assertEquals([await routes(a), await probePath(a)], [[], { rules: 0, routes: 0 }]);
});

Deno.test("probe routes that a killed daemon left and nobody wants are removed", async () => {
  await using hosts = await TwoHosts.create("stale");
  const { a } = hosts;
  await (await hosts.start(a)).kill();
  await a.namespace.ip("route add 10.5.5.5/32 via 10.0.0.2 table 44880 proto bgp metric 1");
  const daemon = await hosts.start(a);
  await eventually("one probe route", 2_000 + SLACK_MS, async () => {
    const left = await routes(a, "table 44880");
    return left.length === 1 && left[0].dst === "default";
  });
  assertEquals(await daemon.stop(), 0);
});

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
