import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { encode, State } from "../../../src/protocol/packet.ts";
import { Bench, DETECT_US, PEER_DISCR, route, Tally } from "./fixture.ts";

const KEY = { dev: "tun0", src: "10.0.0.1", peer: "10.1.0.1" };
/** A second route that route(1)'s session gates. */
const SHARED = route(2, { probe: "10.1.0.1" });

function states(bench: Bench): string {
  const { admin_down, down, init, up } = bench.manager.counts().sessions;
  assertEquals(bench.counters(route(1)).sessions, { admin_down, down, init, up });
  return `${admin_down} ${down} ${init} ${up}`;
}

// ── Many routes, one session ──────────────────────────────────────────────────────────────────────────

Deno.test("routes with the same interface, source and peer share one session and one socket", async () => {
  const bench = await Bench.started({}, route(1), SHARED, route(3));
  assertEquals([bench.manager.table.size, bench.manager.book.size], [2, 3]);
  assertEquals(bench.shownSession(route(1)).routes, 2);
  assertEquals([...bench.transport.endpoints()].length, 1);
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([route(1), SHARED, route(3)].map((each) => bench.holds(each)), [true, true, false]);
});

Deno.test("a route that joins a session that is Up is installed at once", async () => {
  const bench = await Bench.up({}, route(1));
  bench.register(SHARED);
  await bench.settle();
  assertEquals(bench.holds(SHARED), true);
});

Deno.test("a session ends with its last route and not before; then the peer is told and the socket closed", async () => {
  const bench = await Bench.up({}, route(1), SHARED);
  await bench.manager.withdraw(route(1));
  assertEquals(bench.shownSession(SHARED).routes, 1);
  assertEquals([bench.holds(route(1)), bench.holds(SHARED)], [false, true]);
  assertEquals(bench.sent(SHARED).filter(({ state }) => state === State.AdminDown), []);
  await bench.manager.withdraw(SHARED);
  assertEquals(bench.sent(SHARED).at(-1)!.state, State.AdminDown);
  assertEquals(bench.manager.table.size, 0);
  assertEquals([...bench.transport.endpoints()], []);
  assertEquals(bench.told("session_removed").length, 1);
  assertEquals(bench.manager.counts().sessions, { admin_down: 0, down: 0, init: 0, up: 0 });
  assertEquals(bench.manager.wheel.armed, 2, "only maintenance and sweeps are left");
  const before = bench.transport.sent.length;
  await bench.advance(10_000_000);
  assertEquals(bench.transport.sent.length, before, "nothing is sent for a session that ended");
});

Deno.test("a peer that talks wakes nobody but by its packets: its detect timer moves before it is due", async () => {
  const bench = await Bench.up({ reconcileIntervalUs: 0 }, route(1));
  const { loop } = bench.manager;
  const [turns, sent] = [loop.turns, bench.transport.sent.length];
  for (let i = 0; i < 100; i++) {
    await bench.advance(130_000);
    bench.hear(route(1), State.Up);
    await bench.advance(170_000);
  }
  const maintenance = 30;
  const own = loop.turns - turns - (bench.transport.sent.length - sent) - 100 - maintenance;
  assertEquals(own <= 1, true, `${own} turns for nothing`);
  assertEquals(bench.transport.sent.length - sent >= 99, true);
  assertEquals(bench.shownSession(route(1)).state, "up");
});

Deno.test("on a quiet host the next packet goes along when one arrives, never before 92 % of the interval", async () => {
  const bench = await Bench.up({ reconcileIntervalUs: 0 }, route(1));
  const when = () => bench.transport.sent.at(-1)!.at;
  const sentAfter = async (us: number) => {
    const before = when();
    await bench.advance(before + us - bench.clock.now());
    bench.hear(route(1), State.Up);
    await bench.advance(310_000 - us);
    return when() - before;
  };
  await bench.advance(1_000_000 - 700_000);
  bench.hear(route(1), State.Up);
  assertEquals(await sentAfter(290_000), 290_000);
  assertEquals(await sentAfter(276_000), 276_000);
  assertEquals(await sentAfter(275_000), 300_000);
});

Deno.test("packets that leave late keep their distance to the next ones from when they left", async () => {
  const bench = await Bench.up({ reconcileIntervalUs: 0, liveness: { detectMult: 20 } }, route(1));
  const { transport, clock } = bench;
  const flush = transport.flush.bind(transport);
  const gapAfter = async (lateUs: number) => {
    await bench.advance(2_000_000);
    bench.hear(route(1), State.Up);
    const first = transport.sent.length;
    transport.flush = () => {
      const [endpoint] = transport.open.values();
      if (transport.sent.length === first && endpoint!.claimed.length > 0) clock.stall(lateUs);
      flush();
    };
    await bench.advance(700_000);
    return transport.sent[first + 1]!.at - transport.sent[first]!.at;
  };
  assertEquals(await gapAfter(20_000), 300_000);
  assertEquals(await gapAfter(1_000), 299_000, "hardly late");
});

Deno.test("a socket is closed with the last of its sessions and not before", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  await bench.manager.withdraw(route(1));
  assertEquals([...bench.transport.endpoints()].length, 1);
  await bench.manager.withdraw(route(2));
  assertEquals([...bench.transport.endpoints()], []);
});

Deno.test("a packet that was under way to a session that ended is counted and makes nothing", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  await bench.manager.withdraw(route(1));
  bench.hear(route(1), State.Up, { peerDiscr: 1 });
  await bench.advance(0);
  assertEquals([bench.manager.counts().unknownPeerPackets, bench.manager.table.size], [1, 1]);
});

Deno.test("a session registered anew starts over under its former discriminator; counters go on", async () => {
  const bench = await Bench.up({}, route(1));
  const first = bench.shownSession(route(1)).local_discriminator;
  await bench.manager.withdraw(route(1));
  bench.register(route(1));
  const session = bench.shownSession(route(1));
  // A peer that never forgets it, as the reference does not, would ignore any other.
  assertEquals(session.local_discriminator, first);
  assertEquals([session.state, session.was_up, session.reason], ["down", false, "never_up"]);
  assertEquals(bench.counters(route(1)).transitions.get("new down register_route")!.count, 2);
  assertEquals(states(bench), "0 1 0 0");
});

// ── Administrative state ──────────────────────────────────────────────────────────────────────────────

Deno.test("admin down sends one AdminDown, removes the routes and keeps still; admin up starts over", async () => {
  const bench = await Bench.up({}, route(1), SHARED);
  assertEquals(states(bench), "0 0 0 1");
  await bench.advance(DETECT_US / 3);
  bench.hear(route(1), State.Up);
  const before = bench.sent(route(1)).length;
  assertEquals(bench.manager.setAdmin(KEY, "down"), { ok: true });
  assertEquals(states(bench), "1 0 0 0");
  await bench.advance(60_000_000);
  assertEquals(bench.sent(route(1)).slice(before).map(({ state }) => state), [State.AdminDown]);
  assertEquals([bench.holds(route(1)), bench.holds(SHARED)], [false, false]);
  assertEquals(bench.shownSession(route(1)).reason, "local_admin");
  bench.bringUp(route(1));
  await bench.advance(0);
  assertEquals(states(bench), "1 0 0 0");

  bench.manager.setAdmin(KEY, "up");
  assertEquals(states(bench), "0 1 0 0");
  await bench.advance(0);
  assertEquals(bench.sent(route(1)).at(-1)!.state, State.Down);
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([states(bench), bench.holds(route(1)), bench.holds(SHARED)], [
    "0 0 0 1",
    true,
    true,
  ]);
  const { transitions } = bench.counters(route(1));
  assertEquals(transitions.get("up admin_down admin_down_route")!.count, 1);
  assertEquals(transitions.get("admin_down down admin_down_route")!.count, 1);
});

Deno.test("an administrative command given twice does nothing the second time", async () => {
  const bench = await Bench.up({}, route(1));
  for (const state of ["down", "down", "up", "up"] as const) bench.manager.setAdmin(KEY, state);
  assertEquals(
    bench.told("session_state").slice(2).map(({ from, to }) => `${from} ${to}`),
    ["up admin_down", "admin_down down"],
  );
});

Deno.test("the operator's down outlives routes that come and go", async () => {
  const bench = await Bench.up({}, route(1));
  bench.manager.setAdmin(KEY, "down");
  bench.register(SHARED);
  await bench.manager.withdraw(route(1));
  assertEquals(bench.shownSession(SHARED).state, "admin_down");
  assertEquals(bench.holds(SHARED), false);
});

Deno.test("a session that only excluded routes use is admin down; another route lets it run", async () => {
  const bench = await Bench.started({ exclude: ["10.1.0.1"] }, route(1));
  assertEquals([states(bench), bench.shown(route(1)).excluded], ["1 0 0 0", true]);
  assertEquals(bench.shown(route(1)).reason, "excluded: the kernel's route is left alone");
  bench.register(SHARED);
  assertEquals(states(bench), "0 1 0 0");
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.holds(SHARED)], [false, true]);
  await bench.manager.withdraw(SHARED);
  assertEquals([states(bench), bench.holds(SHARED)], ["1 0 0 0", false]);
});

Deno.test("AdminDown of the peer withdraws the route and says why; its return installs it again", async () => {
  const bench = await Bench.up({}, route(1));
  bench.hear(route(1), State.AdminDown);
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.shownSession(route(1)).reason], [
    false,
    "remote_admin",
  ]);
  assertEquals(bench.shown(route(1)).reason, "session: remote_admin");
  bench.bringUp(route(1));
  await bench.settle();
  assertEquals([bench.holds(route(1)), bench.shownSession(route(1)).flaps], [true, 1]);
});

// ── Detection ─────────────────────────────────────────────────────────────────────────────────────────

Deno.test("a silent peer is down one detect time after its last packet, a live one is not", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  bench.hear(route(2), State.Up);
  await bench.advance(DETECT_US - 1);
  bench.hear(route(2), State.Up);
  assertEquals([bench.holds(route(1)), bench.holds(route(2))], [true, true]);
  await bench.advance(1_001);
  assertEquals([bench.holds(route(1)), bench.holds(route(2))], [false, true]);
  const { reason, was_up, flaps } = bench.shownSession(route(1));
  assertEquals([reason, was_up, flaps], ["timeout", true, 1] as never);
  const down = bench.told("session_state").at(-1)!;
  assertEquals([down.from, down.to, down.reason], ["up", "down", "timeout"]);
  assertEquals(bench.counters(route(1)).transitions.get("up down detect_timeout")!.count, 1);
});

Deno.test("a peer that wants to be missed sooner is, from its next packet on", async () => {
  const slow = { desiredMinTxUs: 1_000_000 };
  const bench = await Bench.started({}, route(1));
  bench.hear(route(1), State.Down, slow);
  bench.hear(route(1), State.Up, slow);
  bench.hear(route(1), State.Up, { desiredMinTxUs: 300_000 });
  await bench.advance(DETECT_US + 1_000);
  assertEquals(bench.shownSession(route(1)).state, "down");
});

Deno.test("nobody is condemned while datagrams are still waiting to be read", async () => {
  const bench = await Bench.up({}, route(1));
  bench.transport.drained = false;
  await bench.advance(2 * DETECT_US);
  assertEquals(bench.shownSession(route(1)).state, "up");
  bench.transport.drained = true;
  await bench.advance(2_000);
  assertEquals(bench.shownSession(route(1)).state, "down");
});

Deno.test("a packet that is handed over between turns counts from when it came", async () => {
  const bench = await Bench.up({}, route(1));
  await bench.advance(1);
  bench.clock.stall(250_000);
  const bytes = new DataView(new ArrayBuffer(40));
  const packet = bench.sent(route(1)).at(-1)!;
  Object.assign(packet, { state: State.Up, localDiscr: PEER_DISCR });
  packet.peerDiscr = bench.session(route(1))!.session.localDiscr;
  encode(packet, bytes, 0);
  bench.transport.handOver("tun0", "10.0.0.1", "10.1.0.1", bytes);
  assertEquals(bench.session(route(1))!.session.lastRxUs, bench.clock.now());
});

Deno.test("packets that waited while the loop was held up count before anybody is judged", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  bench.transport.waking = false;
  bench.clock.stall(5 * DETECT_US);
  bench.hear(route(1), State.Up);
  await bench.advance(1_000);
  assertEquals([bench.shownSession(route(1)).state, bench.shownSession(route(2)).state], [
    "up",
    "down",
  ]);
});

Deno.test("how late verdicts and transmissions came is measured against the moment they were due", async () => {
  const bench = await Bench.started({}, route(1));
  bench.transport.waking = false;
  bench.clock.stall(250_000);
  await bench.advance(0);
  // Without jitter the first packet was due after half of the spread, 50 ms.
  assertAlmostEquals(bench.manager.txLateness.sum, 0.2, 1e-3);
  bench.transport.waking = true;
  bench.bringUp(route(1));
  assertEquals([bench.shownSession(route(1)).state, bench.manager.detectLateness.sum], ["up", 0]);
  bench.clock.stall(DETECT_US + 70_000);
  await bench.advance(0);
  assertEquals(bench.shownSession(route(1)).state, "down");
  assertAlmostEquals(bench.manager.detectLateness.sum, 0.07, 1e-3);
});

Deno.test("a timeout that follows a stall of our own says so; one that does not, does not", async () => {
  const bench = await Bench.up({}, route(1), route(2));
  bench.transport.waking = false;
  bench.clock.stall(DETECT_US + 250_000);
  bench.hear(route(2), State.Up);
  await bench.advance(0);
  const [stall] = bench.told("local_stall");
  assert(stall!.after_us! > 100_000, `${stall!.after_us} µs`);
  const marked = bench.told("session_state").at(-1)!;
  assertEquals(marked.session!.peer, "10.1.0.1");
  const ms = Math.round(stall!.after_us! / 1_000);
  assertEquals(marked.message, `this daemon was held up for ${ms} ms before`);
  for (let i = 0; i < 6; i++) {
    bench.hear(route(2), State.Up);
    await bench.advance(300_000);
  }
  await bench.advance(DETECT_US);
  const later = bench.told("session_state").at(-1)!;
  assertEquals([later.session!.peer, later.reason, later.message], [
    "10.1.0.2",
    "timeout",
    undefined,
  ] as never);
});

Deno.test("max_events bounds how many go down in a turn; the others follow, and probes are sent meanwhile", async () => {
  const routes = [1, 2, 3, 4, 5].map((n) => route(n));
  const bench = await Bench.up({ liveness: { maxEvents: 2 } }, ...routes);
  const sent = bench.transport.sent.length;
  await bench.advance(DETECT_US);
  const downs = () => bench.told("session_state").filter(({ to }) => to === "down").length;
  assertEquals([downs(), bench.manager.loop.eventsPostponed], [2, 3]);
  assert(bench.transport.sent.length - sent >= 10, "probes went on");
  await bench.advance(2_000);
  assertEquals(downs(), 5);
  assertEquals(routes.filter((each) => bench.holds(each)), []);
});

// ── Convergence ───────────────────────────────────────────────────────────────────────────────────────

Deno.test("convergence is measured both ways, in the event and the histogram", async () => {
  const bench = await Bench.started({}, route(1));
  bench.hear(route(1), State.Down);
  await bench.advance(40_000);
  bench.hear(route(1), State.Up);
  const { end } = bench.session(route(1))!;
  assertEquals((end.convergenceToUp as Tally).seen, [0.04]);
  assertEquals(bench.told("session_state").at(-1)!.after_us, 40_000);
  await bench.advance(DETECT_US);
  const took = bench.told("session_state").at(-1)!.after_us!;
  assertEquals(took, DETECT_US - 300_000, "since the first packet that was missing");
  assertEquals((end.convergenceToDown as Tally).seen, [took / 1e6]);
});

Deno.test("a handshake that came to nothing does not lengthen the next one's convergence", async () => {
  const bench = await Bench.started({}, route(1));
  bench.hear(route(1), State.Down);
  bench.hear(route(1), State.AdminDown);
  await bench.advance(60_000_000);
  bench.hear(route(1), State.Down);
  await bench.advance(20_000);
  bench.hear(route(1), State.Up);
  const { end } = bench.session(route(1))!;
  assertEquals((end.convergenceToUp as Tally).seen, [0.02]);
  assertEquals((end.convergenceToDown as Tally).seen, [], "it was never Up before");
});

Deno.test("a peer that restarted in Up keeps its route, and hears its new name", async () => {
  const bench = await Bench.up({}, route(1));
  bench.hear(route(1), State.Down, { localDiscr: 77, peerDiscr: 0 });
  bench.hear(route(1), State.Init, { localDiscr: 77 });
  await bench.advance(320_000);
  assertEquals([bench.shownSession(route(1)).state, bench.holds(route(1))], ["up", true]);
  assertEquals(bench.sent(route(1)).at(-1)!.peerDiscr, 77);
});

// ── Sending ───────────────────────────────────────────────────────────────────────────────────────────

Deno.test("while Down probes are sent ever more rarely, up to the cap; any answer brings them back", async () => {
  const bench = await Bench.started({ liveness: { backoffMaxUs: 1_000_000 } }, route(1));
  await bench.advance(5_000_000);
  const gaps = bench.transport.sent.map(({ at }, i, all) => i === 0 ? 0 : at - all[i - 1]!.at);
  assertEquals(gaps.slice(1, 5), [300_000, 600_000, 1_000_000, 1_000_000]);
  const before = bench.transport.sent.length;
  bench.hear(route(1), State.Down);
  await bench.advance(301_000);
  assertEquals(bench.sent(route(1)).slice(before).map(({ state }) => state), [State.Init]);
});

Deno.test("a change of state is told at once, but never within one interval of the last packet", async () => {
  const bench = await Bench.started({}, route(1));
  await bench.advance(50_000);
  assertEquals(bench.sent(route(1)).length, 1);
  await bench.advance(10_000);
  bench.hear(route(1), State.Down);
  await bench.advance(289_999);
  assertEquals(bench.sent(route(1)).length, 1);
  await bench.advance(1_001);
  assertEquals(bench.sent(route(1)).at(-1)!.state, State.Init);
});

Deno.test("a peer that flips our state a thousand times cannot drive our rate", async () => {
  const bench = await Bench.started({}, route(1));
  for (let i = 0; i < 1_000; i++) {
    bench.hear(route(1), State.Down);
    bench.hear(route(1), State.AdminDown);
    await bench.advance(3_000);
  }
  assertEquals(bench.counters(route(1)).transitions.get("init down handle_rx")!.count, 1_000);
  const sent = bench.sent(route(1)).length;
  assert(sent >= 9 && sent <= 11, `${sent} packets in 3 s at one in 300 ms`);
});

Deno.test("a peer that wants packets more often gets the pending one sooner", async () => {
  const bench = await Bench.started({ liveness: { txMinUs: 100_000 } }, route(1));
  const slow = { requiredMinRxUs: 3_000_000 };
  bench.hear(route(1), State.Down, slow);
  bench.hear(route(1), State.Up, slow);
  await bench.advance(0);
  const before = bench.sent(route(1)).length;
  await bench.advance(200_000);
  assertEquals(bench.sent(route(1)).length, before);
  bench.hear(route(1), State.Up, { requiredMinRxUs: 100_000 });
  await bench.advance(1_001);
  assertEquals(bench.sent(route(1)).length, before + 1);
});

Deno.test("a probe that could not be sent is counted and shown until the peer is heard", async () => {
  const bench = await Bench.started({}, route(1));
  bench.transport.sendFailed("tun0", "10.0.0.1", "10.1.0.1", "connection refused");
  bench.transport.sendFailed("tun0", "10.0.0.1", "10.9.9.9", "connection refused");
  let { send_errors, send_error } = bench.shownSession(route(1));
  assertEquals([send_errors, send_error], [1, "connection refused"] as never);
  bench.hear(route(1), State.Down);
  ({ send_errors, send_error } = bench.shownSession(route(1)));
  assertEquals([send_errors, send_error], [1, null] as never);
});

// ── Packets that must change nothing ──────────────────────────────────────────────────────────────────

for (
  const [reason, bytes] of [
    ["short", [0x20, 0xc0, 3, 40]],
    ["bad_len", [0x20, 0xc0, 3, 24, ...new Array(36).fill(0)]],
    ["bad_version", [0x40, 0xc0, 3, 40, ...new Array(36).fill(0)]],
    ["bad_detect_mult", [0x20, 0xc0, 0, 40, ...new Array(36).fill(0)]],
  ] as const
) {
  Deno.test(`a datagram that is ${reason} is counted as that and changes nothing`, async () => {
    const bench = await Bench.up({}, route(1));
    const before = bench.shownSession(route(1));
    const view = new DataView(Uint8Array.from(bytes).buffer);
    for (let i = 0; i < 3; i++) bench.transport.arrive("tun0", "10.0.0.1", "10.1.0.1", view);
    const expected = { short: 0, bad_len: 0, bad_version: 0, bad_detect_mult: 0, not_ipv4: 0 };
    assertEquals(bench.counters(route(1)).rxInvalid, { ...expected, [reason]: 3 });
    assertEquals(bench.shownSession(route(1)), before);
    assertEquals(
      bench.events.filter(({ kind }) => !kind.startsWith("session") && !kind.startsWith("route")),
      [],
    );
  });
}

Deno.test("a packet of a host that nobody asked about is counted and makes no session", async () => {
  const bench = await Bench.up({}, route(1));
  const events = bench.events.length;
  bench.hear(route(9), State.Up);
  bench.hear(route(1, { src: "10.0.0.1", probe: "10.1.0.8" }), State.Down);
  assertEquals(bench.counters(route(1)).unknownPeer, 2);
  assertEquals(bench.manager.counts().unknownPeerPackets, 2);
  assertEquals([bench.manager.table.size, bench.events.length], [1, events]);
});

Deno.test("a packet with another session's discriminator is counted and takes nothing down", async () => {
  const bench = await Bench.up({}, route(1));
  for (const state of [State.AdminDown, State.Down, State.Up]) {
    bench.hear(route(1), state, { peerDiscr: 0xdead, localDiscr: 5, flags: 1 });
  }
  assertEquals(bench.counters(route(1)).foreignDiscriminator, 3);
  const { state, peer_discriminator, peer_mode } = bench.shownSession(route(1));
  assertEquals([state, peer_discriminator, peer_mode], ["up", PEER_DISCR, "active"] as never);
});

Deno.test("packets are counted by the peer's version, and no more than 64 versions apart", async () => {
  const bench = await Bench.up({}, route(1));
  for (let i = 0; i < 200; i++) bench.hear(route(1), State.Up, { clientVersion: (i << 8) | 4 });
  const { rxByVersion } = bench.counters(route(1));
  assertEquals(rxByVersion.get("0.0.3-dev")!.count, 1);
  assert(rxByVersion.size <= 65, `${rxByVersion.size} versions`);
  assert(rxByVersion.get("other")!.count > 100);
  const total = [...rxByVersion.values()].reduce((sum, { count }) => sum + count, 0);
  assertEquals(total, bench.shownSession(route(1)).rx_packets);
});
