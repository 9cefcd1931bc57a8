import { assertEquals, assertGreater } from "@std/assert";
import type { Daemon } from "./daemon.ts";
import {
  bothInstalled,
  bothUp,
  DETECT_MS,
  DEV,
  eventually,
  hasRoute,
  pause,
  routes,
  SLACK_MS,
  TwoHosts,
} from "./harness.ts";

/** Reopening is tried every second or so; then the handshake. */
const RETURN_MS = 2_000 + 1_540;

async function reason(daemon: Daemon): Promise<string> {
  return (await daemon.json("sessions"))[0].reason ?? "";
}

Deno.test("an interface that is deleted and recreated takes its session along and back", async () => {
  await using hosts = await TwoHosts.create("link");
  const [daemon, peer] = await bothUp(hosts);
  for (let round = 1; round <= 3; round++) {
    await hosts.unplug();
    await eventually(
      "the reason",
      DETECT_MS + 2 * SLACK_MS,
      async () => (await reason(daemon)).includes(DEV),
    );
    await eventually(
      "down",
      DETECT_MS + SLACK_MS,
      async () => (await daemon.json("sessions"))[0].state === "down",
    );
    await hosts.plug();
    await eventually("back", RETURN_MS + SLACK_MS, () => bothInstalled(hosts));
  }
  assertEquals((await routes(hosts.a)).length, 1);
  assertEquals((await routes(hosts.a, "table 44880")).length, 1);
  const { endpoints } = await daemon.json("status");
  assertEquals(endpoints.map(({ open }: { open: boolean }) => open), [true]);
  assertEquals([await daemon.stop(), await peer.stop()], [0, 0]);
});

Deno.test("a link that goes down and up again needs no help", async () => {
  await using hosts = await TwoHosts.create("down");
  await bothUp(hosts);
  await hosts.a.namespace.ip(`link set ${DEV} down`);
  await eventually(
    "withdrawn at b",
    DETECT_MS + SLACK_MS,
    async () => !(await hasRoute(hosts, hosts.b)),
  );
  assertEquals(await hasRoute(hosts, hosts.a), false);
  await hosts.a.namespace.ip(`link set ${DEV} up`);
  await eventually("back", RETURN_MS + SLACK_MS, () => bothInstalled(hosts));
});

Deno.test("a local address that vanishes is the reason until it returns", async () => {
  await using hosts = await TwoHosts.create("addr");
  const { a } = hosts;
  const [daemon] = await bothUp(hosts);
  await a.namespace.ip(`addr del ${a.address}/32 dev lo`);
  await eventually(
    "down",
    DETECT_MS + 2 * SLACK_MS,
    async () => (await daemon.json("sessions"))[0].state === "down",
  );
  await eventually(
    "the reason",
    2 * SLACK_MS,
    async () => (await reason(daemon)).includes(a.address),
  );
  await a.namespace.ip(`addr add ${a.address}/32 dev lo`);
  await eventually("back", RETURN_MS + SLACK_MS, () => bothInstalled(hosts));
});

Deno.test("a daemon that starts before its interface and address waits for them", async () => {
  await using hosts = await TwoHosts.create("early");
  const { a, b } = hosts;
  await hosts.unplug();
  await a.namespace.ip(`addr del ${a.address}/32 dev lo`);
  const daemon = await hosts.start(a);
  await hosts.start(b);
  await eventually(
    "the reason",
    2_000 + SLACK_MS,
    async () => (await reason(daemon).catch(() => "")).includes(DEV),
  );
  await hosts.plug();
  await eventually(
    "the other reason",
    2_000 + SLACK_MS,
    async () => (await reason(daemon)).includes(a.address),
  );
  await a.namespace.ip(`addr add ${a.address}/32 dev lo`);
  await eventually("up", RETURN_MS + 2_000 + SLACK_MS, () => bothInstalled(hosts));
});

Deno.test("a stopped daemon that continues reads before it judges", async () => {
  await using hosts = await TwoHosts.create("stall");
  const { a, b } = hosts;
  // a condemns its peer after 0.4 s of silence, b after 1 s: a stop of 0.7 s is a test of a alone.
  const liveness = { tx_min: "200ms", rx_min: "200ms" };
  const impatient = hosts.configOf(a, { liveness: { ...liveness, detect_mult: 2 } });
  const patient = hosts.configOf(b, { liveness: { ...liveness, detect_mult: 5 } });
  const daemons = [await hosts.start(a, impatient), await hosts.start(b, patient)];
  await eventually("up", 2_000 + SLACK_MS, () => bothInstalled(hosts));
  daemons[0].signal("SIGSTOP");
  await pause(700);
  daemons[0].signal("SIGCONT");
  await pause(DETECT_MS);
  for (const daemon of daemons) {
    const [session] = await daemon.json("sessions");
    assertEquals([session.state, session.flaps], ["up", 0]);
  }
  // It was to do something at the latest one interval, with its jitter, after it had been stopped.
  assertGreater((await daemons[0].json("status")).loop.lag_max_us, 450_000);
});
