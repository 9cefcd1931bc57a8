import { assert, assertEquals } from "@std/assert";
import type { Daemon } from "./daemon.ts";
import { encodedLength, packetHex } from "./packets.ts";
import {
  bothInstalled,
  bothUp,
  eventually,
  type Host,
  PORT,
  SLACK_MS,
  TwoHosts,
} from "./harness.ts";
import { run } from "./netns.ts";

const SENDER = new URL("datagrams_child.ts", import.meta.url).pathname;

/** Sends `count` datagrams from inside `from`, whose source address is `source`. */
async function send(
  from: Host,
  source: string,
  target: string,
  payloads: readonly string[],
  count: number,
): Promise<void> {
  const sender = [Deno.execPath(), "run", "-A", "--no-config", "--unstable-net", SENDER];
  const where = ["ip", "netns", "exec", from.namespace.name];
  const words = [source, target, String(PORT), String(count)];
  const sent = await run([...where, ...sender, ...words], JSON.stringify(payloads));
  assertEquals(Number(sent), count);
}

/** Asserts that the only session has never left Up since it first was. */
async function assertNeverDown(daemon: Daemon): Promise<void> {
  const [session] = await daemon.json("sessions");
  assertEquals([session.state, session.flaps], ["up", 0]);
}

Deno.test("a flood of malformed and foreign packets at full rate loses no session", async () => {
  await using hosts = await TwoHosts.create("flood");
  const { a, b } = hosts;
  const [daemon, peer] = await bothUp(hosts);
  const good = packetHex({ state: 3, mine: 1, yours: 2 });
  const refused = {
    short: ["", "20", good.slice(0, 2 * (encodedLength - 1))],
    bad_len: [`${good.slice(0, 6)}18${good.slice(8)}`],
    bad_version: [`e0${good.slice(2)}`, `00${good.slice(2)}`],
    bad_detect_mult: [`${good.slice(0, 4)}00${good.slice(6)}`],
    // Large and malformed: a buffer for small packets must not be overrun.
    bad_len_large: ["ff".repeat(1400)],
  };
  const payloads = Object.values(refused).flat();
  // From the peer's own address, and from one that belongs to no session, both at once.
  await Promise.all([
    send(b, b.address, a.address, payloads, 60_000),
    send(b, b.link, a.address, [good, `${good}${"00".repeat(1000)}`, ...payloads], 60_000),
  ]);
  for (const reason of ["short", "bad_len", "bad_version", "bad_detect_mult"]) {
    const counted = await daemon.metric("control_packets_rx_invalid_total", `reason="${reason}"`);
    assert(counted > 1_000, `${reason}: ${counted}`);
  }
  const foreign = await daemon.metric("unknown_peer_packets_total");
  assert(foreign > 1_000, `foreign: ${foreign}`);
  for (const end of [daemon, peer]) await assertNeverDown(end);
  assert(await bothInstalled(hosts));
  assert(daemon.lines.length < 100, `${daemon.lines.length} log lines: one per packet?`);
});

Deno.test("packets with another session's discriminator change nothing", async () => {
  await using hosts = await TwoHosts.create("discr");
  const { a, b } = hosts;
  const [daemon] = await bothUp(hosts);
  const [session] = await daemon.json("sessions");
  const yours = (session.local_discriminator ^ 0x55) >>> 0;
  const before = await daemon.metric("control_packets_rx_total");
  const lies = [0, 1, 2].map((state) => packetHex({ state, mine: 7, yours }));
  await send(b, b.address, a.address, lies, 3_000);
  await eventually(
    "the lies to arrive",
    SLACK_MS,
    async () => await daemon.metric("control_packets_rx_total") >= before + 3_000,
  );
  await assertNeverDown(daemon);
  assertEquals((await daemon.json("sessions"))[0].peer_discriminator, session.peer_discriminator);
});

Deno.test("an administrative down takes both routes away, and up brings them back", async () => {
  await using hosts = await TwoHosts.create("admin");
  const [daemon, peer] = await bothUp(hosts);
  assertEquals((await daemon.cli("session", "down", hosts.b.address)).code, 0);
  await eventually("down", SLACK_MS, async () => !(await bothInstalled(hosts)));
  await eventually(
    "the peer to hear of it",
    SLACK_MS,
    async () => (await peer.json("sessions"))[0].reason === "remote_admin",
  );
  assertEquals((await daemon.json("sessions"))[0].state, "admin_down");
  assertEquals((await daemon.cli("session", "up", hosts.b.address)).code, 0);
  await eventually("up", 2_000 + SLACK_MS, () => bothInstalled(hosts));
});

Deno.test("a peer whose daemon is gone refuses packets, which is counted and survived", async () => {
  await using hosts = await TwoHosts.create("refused");
  const [daemon, peer] = await bothUp(hosts);
  await peer.kill();
  await eventually("refusals counted", 2_000 + SLACK_MS, async () => {
    const [session] = await daemon.json("sessions");
    return session.state === "down" && session.send_errors > 0;
  });
  await hosts.start(hosts.b);
  await eventually("up again", 3_000 + SLACK_MS, () => bothInstalled(hosts));
});
