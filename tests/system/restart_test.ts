/**
 * A daemon that is killed and started again: what it left is taken over, and where its peer has not noticed
 * nobody else does. See docs/ownership.md.
 */
import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import {
  bothInstalled,
  DEV,
  eventually,
  hasRoute,
  type Host,
  pause,
  routes,
  SLACK_MS,
  TwoHosts,
  UP_MS,
} from "./harness.ts";
import type { Daemon } from "./daemon.ts";
import { ChildLines, Stream, watchRoutes } from "./traffic.ts";

const INTERVAL_MS = 300;
const MULTIPLIER = 5;
/** What both ends' settings below make of it. */
const DETECT_MS = INTERVAL_MS * MULTIPLIER;
/** Listening, detection, handshake and delays: see src/manager/adoption.ts. */
const GRACE_MS = 2.35 * INTERVAL_MS + DETECT_MS + 4.4 * INTERVAL_MS + 1_000;

const liveness = {
  tx_min: `${INTERVAL_MS}ms`,
  rx_min: `${INTERVAL_MS}ms`,
  detect_mult: MULTIPLIER,
  backoff_max: "1s",
};

function configOf(hosts: TwoHosts, host: Host, changes: Record<string, unknown> = {}) {
  return hosts.configOf(host, { liveness, ...changes });
}

async function bothUp(hosts: TwoHosts): Promise<[Daemon, Daemon]> {
  const { a, b } = hosts;
  const daemons: [Daemon, Daemon] = [
    await hosts.start(a, configOf(hosts, a)),
    await hosts.start(b, configOf(hosts, b)),
  ];
  await eventually("both routes", UP_MS + SLACK_MS, () => bothInstalled(hosts));
  await settled(hosts, a);
  return daemons;
}

/** The state of the host's daemon is in its file: both ends' intervals, and the route. */
async function settled(hosts: TwoHosts, host: Host): Promise<void> {
  await eventually("the state file", 2_000 + SLACK_MS, async () => {
    const text = await Deno.readTextFile(stateOf(hosts, host)).catch(() => "{}");
    const { sessions = [], routes = [] } = JSON.parse(text);
    return sessions.length === 1 && sessions[0].interval_us === INTERVAL_MS * 1e3 &&
      routes.length === 1;
  });
  await pause(1_500); // What came after the first writing is written a second later.
}

function stateOf(hosts: TwoHosts, host: Host): string {
  return hosts.socketOf(host).replace(/\.sock$/, ".state.json");
}

async function sessionUp(daemon: Daemon, withinMs: number): Promise<number> {
  return await eventually(
    "up",
    withinMs,
    async () => (await daemon.json("sessions").catch(() => []))[0]?.state === "up",
  );
}

/** Kills the daemon of `a` and starts another at once. */
async function restart(hosts: TwoHosts, daemon: Daemon, changes = {}): Promise<Daemon> {
  await daemon.kill();
  return await hosts.start(hosts.a, configOf(hosts, hosts.a, changes));
}

function failuresOf(status: { failures: { name: string; count: number }[] }): number {
  return status.failures.find(({ name }) => name === "state_file_failures")!.count;
}

Deno.test("kill -9 and restart: neither side withdraws, and no packet of a stream is lost", async () => {
  await using hosts = await TwoHosts.create("hitless");
  let [daemon, peer] = await bothUp(hosts);
  const [before] = await daemon.json("sessions");
  await using changes = await watchRoutes(hosts);
  await using stream = await Stream.start(hosts);
  const took: number[] = [];
  for (let round = 1; round <= 5; round++) {
    const startedAt = performance.now();
    daemon = await restart(hosts, daemon);
    await sessionUp(daemon, DETECT_MS + SLACK_MS);
    took.push(Math.round(performance.now() - startedAt));
    await pause(300);
    const [session] = await daemon.json("sessions");
    assertEquals([session.state, session.flaps], ["up", 0]);
    assertEquals(session.local_discriminator, before.local_discriminator);
    const states = daemon.events("session_state").map(({ to }) => to);
    assertEquals(states, ["up"], "straight from Down to Up");
    assertEquals(daemon.events("route_adopted").length, 1, daemon.lines.join("\n"));
    for (const kind of ["route_withdrawn", "route_installed", "route_reinstalled"]) {
      assertEquals(daemon.events(kind), [], `round ${round}`);
    }
    const [route] = await daemon.json("routes");
    assertEquals([route.installed, route.reason], [true, null]);
  }
  await pause(GRACE_MS);
  const { sent, lost } = await stream.stop();
  console.log(
    `5 restarts: up again after ${took.join(", ")} ms; ${sent} packets sent, ${lost} lost`,
  );
  assertGreater(sent, 2 * 200 * (GRACE_MS + 1_500) / 1_000);
  assertEquals(lost, 0);
  assertEquals(changes.lines(), [], "nobody touched a route of table main");
  const [other] = await peer.json("sessions");
  assertEquals([other.state, other.flaps], ["up", 0]);
  assertEquals(peer.events("route_withdrawn"), []);
  // The watch would have seen a change.
  await hosts.a.namespace.ip("route add 10.77.0.1/32 via 10.0.0.2");
  await eventually("the watch to speak", SLACK_MS, () => changes.lines().length === 1);
});

Deno.test("a peer to the letter of the protocol does not notice a restart either", async () => {
  await using hosts = await TwoHosts.create("letter");
  const { a, b } = hosts;
  await b.namespace.ip(`route add ${a.address}/32 via ${a.link} table 99`);
  await b.namespace.ip("rule add ipproto udp sport 44880 lookup 99");
  const words = [b.address, a.address, String(INTERVAL_MS), String(MULTIPLIER), a.link];
  await using peer = ChildLines.start(b, "letter_peer_child.ts", words);
  let daemon = await hosts.start(a, configOf(hosts, a));
  await eventually("both routes", UP_MS + SLACK_MS, () => bothInstalled(hosts));
  await settled(hosts, a);
  await using changes = await watchRoutes(hosts);
  await using stream = await Stream.start(hosts);
  const figures: string[] = [];
  for (let round = 1; round <= 5; round++) {
    const heard = peer.records("heard").length;
    await daemon.kill();
    const startedAt = Date.now();
    daemon = await hosts.start(a, configOf(hosts, a));
    await sessionUp(daemon, DETECT_MS + SLACK_MS);
    await eventually("a packet", SLACK_MS, () => peer.records("heard").length > heard);
    const first = peer.records("heard")[heard]!;
    assertEquals([first.said, first.echo], ["up", true], "its first word is Up");
    assertLess(Number(first.gap), DETECT_MS);
    figures.push(`${first.gap} ms after the last (${Number(first.at) - startedAt} ms after exec)`);
    await pause(300);
  }
  await pause(GRACE_MS);
  const { sent, lost } = await stream.stop();
  console.log(
    `the first packet came ${figures.join(", ")}; ${sent} packets sent, ${lost} lost; ` +
      `${peer.records("not sent").length} of the peer's were not sent`,
  );
  assertEquals(lost, 0);
  assertGreater(sent, 2 * 200 * (GRACE_MS + 1_500) / 1_000);
  assertEquals(peer.records("state").map(({ to }) => to).filter((to) => to === "down"), []);
  assertEquals(peer.records("heard").filter(({ ignored }) => ignored), []);
  assertEquals(changes.lines(), []);
});

Deno.test("an orderly restart comes Up again with a peer that never forgets a discriminator", async () => {
  await using hosts = await TwoHosts.create("orderly");
  const { a, b } = hosts;
  await b.namespace.ip(`route add ${a.address}/32 via ${a.link} table 99`);
  await b.namespace.ip("rule add ipproto udp sport 44880 lookup 99");
  const words = [b.address, a.address, String(INTERVAL_MS), String(MULTIPLIER), a.link];
  await using peer = ChildLines.start(b, "letter_peer_child.ts", words);
  const kernel = { protocol: "bgp", reconcile_interval: "1s", on_shutdown: "keep" };
  const daemon = await hosts.start(a, configOf(hosts, a, { kernel }));
  await eventually("both routes", UP_MS + SLACK_MS, () => bothInstalled(hosts));
  assertEquals(await daemon.stop(), 0);
  await eventually("the farewell", SLACK_MS, async () => !(await hasRoute(hosts, b)));
  assertEquals(peer.records("state").at(-1)?.reason, "remote_admin");
  assert(await hasRoute(hosts, a), "kept");
  const next = await hosts.start(a, configOf(hosts, a, { kernel }));
  await eventually("both routes", GRACE_MS + SLACK_MS, () => bothInstalled(hosts));
  assertEquals(next.events("route_withdrawn"), []);
});

Deno.test("kill -9 and restart with a dead peer: the route goes after the grace period", async () => {
  await using hosts = await TwoHosts.create("dead");
  const [daemon, peer] = await bothUp(hosts);
  await Promise.all([peer.kill(), daemon.kill()]);
  assert(await hasRoute(hosts, hosts.a));
  const startedAt = performance.now();
  const next = await hosts.start(hosts.a, configOf(hosts, hosts.a));
  await eventually("adoption", SLACK_MS, () => next.events("route_adopted").length === 1);
  await pause(GRACE_MS / 2);
  assert(await hasRoute(hosts, hosts.a), "it stays for the grace period");
  await eventually(
    "withdrawal",
    GRACE_MS + SLACK_MS,
    async () => !(await hasRoute(hosts, hosts.a)),
  );
  const took = performance.now() - startedAt;
  console.log(
    `a dead peer's route went ${Math.round(took)} ms after the start (grace ${GRACE_MS} ms)`,
  );
  assertGreater(took, GRACE_MS - 100);
  assertEquals(next.events("route_adoption_expired").length, 1);
  assertEquals(next.events("route_withdrawn").length, 1);
});

Deno.test("a route that is not wanted any more goes at the restart; a look-alike stays", async () => {
  await using hosts = await TwoHosts.create("changed");
  const { a, b } = hosts;
  const [daemon] = await bothUp(hosts);
  await daemon.kill();
  await a.namespace.ip("link add other0 type veth peer name other1");
  await a.namespace.ip("link set other0 up");
  // Like the recorded one in all but one thing each; the first stands in the very same place.
  const like = `${b.address}/32 via ${b.link} src ${a.address} proto bgp`;
  await a.namespace.ip(`route append ${like} dev other0 onlink`);
  await a.namespace.ip(`route add ${like} dev ${DEV} metric 20`);
  await a.namespace.ip(`route add ${like} dev ${DEV} table 100`);
  await a.namespace.ip(`route add ${like.replace("10.2.0.1/32", "10.2.0.0/31")} dev ${DEV}`);
  await a.namespace.ip(`route add ${like.replace("10.2.0.1", "10.9.0.1")} dev ${DEV}`);
  const look = async () =>
    [...await routes(a), ...await routes(a, "table 100 proto bgp")]
      .map(({ dst, dev, metric = 0 }) => `${dst} ${dev} ${metric}`);
  const before = await look();
  assertEquals(before.length, 6, before.join("\n"));

  const another = { dst: "10.3.0.1/32", via: b.link, dev: DEV, src: a.address };
  const next = await hosts.start(a, configOf(hosts, a, { routes: [another] }));
  await eventually("removal", SLACK_MS, () => next.events("route_stale_removed").length === 1);
  const after = before.filter((_, index) => index !== before.indexOf(`${b.address} ${DEV} 0`));
  assertEquals(await look(), after);
  await pause(2_500); // Two sweeps later.
  assertEquals(await look(), after);
  await next.stop();
  assertEquals(await look(), after);
});

Deno.test("a changed protocol number takes the routes along without a gap", async () => {
  await using hosts = await TwoHosts.create("protocol");
  const [daemon] = await bothUp(hosts);
  await using stream = await Stream.start(hosts);
  const kernel = { protocol: 222, reconcile_interval: "1s", on_shutdown: "withdraw" };
  const next = await restart(hosts, daemon, { kernel });
  await sessionUp(next, DETECT_MS + SLACK_MS);
  await pause(500);
  const { lost } = await stream.stop();
  assertEquals(lost, 0);
  assertEquals(await routes(hosts.a), []);
  assertEquals((await routes(hosts.a, "table main proto 222")).length, 1);
  await next.stop();
  assertEquals(await routes(hosts.a, "table main proto 222"), []);
});

const USELESS: Record<
  string,
  { spoil: (path: string, text: string) => Promise<void>; says: string }
> = {
  damaged: {
    spoil: (path) => Deno.writeTextFile(path, "\u0000 garbage {"),
    says: "not valid JSON",
  },
  truncated: {
    spoil: (path, text) => Deno.writeTextFile(path, text.slice(0, text.length / 2)),
    says: "not valid JSON",
  },
  empty: { spoil: (path) => Deno.writeTextFile(path, ""), says: "not valid JSON" },
  "another program's": {
    spoil: (path) => Deno.writeTextFile(path, '{"sessions": [], "routes": []}'),
    says: "livenessd did not write it",
  },
  "another version's": {
    spoil: (path, text) =>
      Deno.writeTextFile(path, text.replace('"livenessd":1', '"livenessd":99')),
    says: "version 99",
  },
  "from before the boot": {
    spoil: (path, text) =>
      Deno.writeTextFile(path, text.replace(/"boot":"[^"]*"/, '"boot":"another"')),
    says: "before this host was booted",
  },
  "another namespace's": {
    spoil: (path, text) => Deno.writeTextFile(path, text.replace(/"netns":"\d+"/, '"netns":"1"')),
    says: "another network namespace",
  },
  "with wrong parts": {
    spoil: (path, text) => Deno.writeTextFile(path, text.replace(/"dst":"[^"]*"/, '"dst":"all"')),
    says: "damaged",
  },
  "somebody else's": {
    spoil: (path) => Deno.chown(path, 65534, 65534),
    says: "belongs to user 65534",
  },
  "open to others": { spoil: (path) => Deno.chmod(path, 0o666), says: "written by other users" },
  "a link": {
    spoil: async (path) => {
      await Deno.rename(path, `${path}.target`);
      await Deno.symlink(`${path}.target`, path);
    },
    says: "not a regular file",
  },
  "a directory": {
    spoil: async (path) => {
      await Deno.remove(path);
      await Deno.mkdir(path);
    },
    says: "not a regular file",
  },
};

Deno.test("a state file that is no use is reported, counted and ignored; wanted routes are adopted", async () => {
  await using hosts = await TwoHosts.create("useless");
  let [daemon] = await bothUp(hosts);
  const path = stateOf(hosts, hosts.a);
  const good = await Deno.readTextFile(path);
  assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
  for (const [what, { spoil, says }] of Object.entries(USELESS)) {
    await daemon.kill();
    await Deno.remove(path, { recursive: true });
    await Deno.writeTextFile(path, good, { mode: 0o600 });
    await spoil(path, good);
    const target = await Deno.readTextFile(`${path}.target`).catch(() => null);
    daemon = await hosts.start(hosts.a, configOf(hosts, hosts.a));
    await eventually(
      `${what}: adoption`,
      SLACK_MS,
      () => daemon.events("route_adopted").length === 1,
    );
    const [failure] = daemon.events("state_file_failed");
    assertStringIncludes(String(failure?.message), says, what);
    assertStringIncludes(String(failure?.message), path, what);
    assertEquals(failure?.level, "warn");
    await eventually("status", SLACK_MS, async () => failuresOf(await daemon.json("status")) > 0);
    assert(await hasRoute(hosts, hosts.a), what);
    assertEquals(daemon.events("route_stale_removed"), [], what);
    assertEquals(await Deno.readTextFile(`${path}.target`).catch(() => null), target, what);
  }
  await sessionUp(daemon, GRACE_MS + SLACK_MS);
});

Deno.test("state.file off: nothing is written, wanted routes are adopted all the same", async () => {
  await using hosts = await TwoHosts.create("off");
  const { a } = hosts;
  const state = { file: "off" };
  const daemon = await hosts.start(a, configOf(hosts, a, { state }));
  await hosts.start(hosts.b, configOf(hosts, hosts.b));
  await eventually("both routes", UP_MS + SLACK_MS, () => bothInstalled(hosts));
  await pause(500);
  const next = await restart(hosts, daemon, { state });
  await sessionUp(next, GRACE_MS + SLACK_MS);
  assertEquals(next.events("route_adopted").length, 1);
  assertEquals(next.events("route_withdrawn"), []);
  assertEquals(next.events("state_file_failed"), []);
  assertEquals(await Deno.stat(stateOf(hosts, a)).catch(() => null), null);
});

Deno.test("a second SIGTERM ends at once, with status 1 and without a socket", async () => {
  await using hosts = await TwoHosts.create("twice");
  const [daemon] = await bothUp(hosts);
  // A client that neither reads nor leaves: the end waits a second for it.
  using follower = await Deno.connect({ transport: "unix", path: daemon.socket });
  await follower.write(
    new TextEncoder().encode("GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n"),
  );
  await follower.read(new Uint8Array(1));
  daemon.signal("SIGTERM");
  await pause(100);
  assert(daemon.running, "it waits for the client");
  const askedAt = performance.now();
  daemon.signal("SIGINT");
  assertEquals(await daemon.finished, 1);
  assertLess(performance.now() - askedAt, 500);
  assertEquals(await Deno.stat(daemon.socket).catch(() => null), null);
  assertStringIncludes(daemon.lines.join("\n"), "second time");
});
