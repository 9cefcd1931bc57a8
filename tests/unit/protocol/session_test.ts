import { assertEquals } from "@std/assert";
import { ControlPacket, FLAG_PASSIVE, State, STATE_NAMES } from "../../../src/protocol/packet.ts";
import { type Session, UNSET } from "../../../src/protocol/session.ts";
import { packVersion, VERSION_NOT_TOLD } from "../../../src/protocol/version.ts";
import { DETECT_US, newSession, OURS, packet, parameters, THEIRS } from "./support.ts";

const { AdminDown, Down, Init, Up } = State;

/** Up since `at`; the peer was heard then, too. */
function upSession(at: number): Session {
  const session = newSession();
  session.receive(packet(Up), at);
  assertEquals(session.state, Up);
  return session;
}

/** Init since `at`. */
function initSession(at: number): Session {
  const session = newSession();
  session.receive(packet(Down, { peerDiscr: 0 }), at);
  assertEquals(session.state, Init);
  return session;
}

function said(session: Session): ControlPacket {
  const said = new ControlPacket();
  session.describe(said);
  return said;
}

// ── Receiving: the rules by their numbers in the protocol's description ───────────────────────────────

Deno.test("rule 1: while AdminDown a packet changes nothing and teaches nothing", () => {
  const session = newSession();
  session.adminDown(10);
  for (const state of [AdminDown, Down, Init, Up]) {
    assertEquals(session.receive(packet(state, { flags: FLAG_PASSIVE }), 20), null);
  }
  assertEquals([session.state, session.downReason], [AdminDown, "local_admin"]);
  assertEquals([session.peerMode, session.peerDiscr, session.lastRxUs], ["unknown", 0, UNSET]);
  assertEquals(session.lastUpdatedUs, 10);
});

Deno.test("rule 2: a packet with another session's discriminator changes nothing and teaches nothing", () => {
  const session = upSession(1_000_000);
  const before = { ...session };
  for (const state of [AdminDown, Down, Init, Up]) {
    const foreign = packet(state, {
      peerDiscr: OURS + 1,
      localDiscr: 99,
      flags: FLAG_PASSIVE,
      desiredMinTxUs: 1_000_000,
    });
    assertEquals(session.receive(foreign, 5_000_000), null);
  }
  assertEquals({ ...session }, before);
});

Deno.test("rule 3: the peer's mode and version are learned even from a packet that takes the session down", () => {
  const session = upSession(0);
  assertEquals(session.peerMode, "active");
  const version = packVersion(1, 2, 3, 4);
  session.receive(packet(AdminDown, { flags: FLAG_PASSIVE, clientVersion: version }), 10);
  assertEquals([session.peerMode, session.peerVersion], ["passive", version]);
});

Deno.test("rule 3: only bit 0 of the flags means passive", () => {
  const session = newSession();
  session.receive(packet(Down, { flags: 0xfe }), 0);
  assertEquals(session.peerMode, "active");
});

for (const [name, make] of [["Init", initSession], ["Up", upSession]] as const) {
  Deno.test(`rule 4: AdminDown from the peer takes ${name} down with reason remote_admin`, () => {
    const session = make(1_000_000);
    session.backoffFactor = 8;
    const { state: from } = session;
    assertEquals(session.receive(packet(AdminDown), 1_100_000), {
      from,
      to: Down,
      reason: "remote_admin",
    });
    assertEquals([session.detectDeadlineUs, session.backoffFactor], [UNSET, 1]);
    assertEquals([session.downReason, session.downSinceUs], ["remote_admin", 1_100_000]);
    assertEquals(session.upSinceUs, UNSET);
  });
}

Deno.test("rule 4: AdminDown while Down is no transition, sets the reason and ends the backoff", () => {
  const session = newSession();
  for (let i = 0; i < 4; i++) session.computeNextTx();
  assertEquals(session.backoffFactor, 16);
  assertEquals(session.receive(packet(AdminDown), 10), null);
  assertEquals([session.downReason, session.backoffFactor], ["remote_admin", 1]);
  assertEquals(session.lastRxUs, UNSET, "timers are not taken from such a packet");
});

Deno.test("rule 5: Down from the peer takes Init down at once, with reason remote_down", () => {
  const session = initSession(1_000_000);
  assertEquals(session.receive(packet(Down), 1_000_001), {
    from: Init,
    to: Down,
    reason: "remote_down",
  });
  assertEquals([session.detectDeadlineUs, session.convUpStartUs], [UNSET, UNSET]);
});

Deno.test("rule 5: Down from the peer is stale while we are Up for less than one detect time", () => {
  const session = upSession(1_000_000);
  const deadline = session.detectDeadlineUs;
  assertEquals(session.receive(packet(Down), 1_000_000 + DETECT_US - 1), null);
  assertEquals([session.state, session.detectDeadlineUs], [Up, deadline]);
  assertEquals(session.lastRxUs, 1_000_000, "a stale packet is no sign of life");
});

Deno.test("rule 5: Down from the peer counts from one detect time after we came Up", () => {
  const session = upSession(1_000_000);
  session.receive(packet(Up), 1_500_000);
  const transition = session.receive(packet(Down), 1_000_000 + DETECT_US);
  assertEquals(transition, { from: Up, to: Down, reason: "remote_down" });
  assertEquals([session.detectDeadlineUs, session.backoffFactor], [UNSET, 1]);
  assertEquals(session.convUpStartUs, UNSET);
});

Deno.test("rule 6: the peer's discriminator is learned once while it stays unknown", () => {
  const session = newSession();
  session.receive(packet(Down, { peerDiscr: 0, localDiscr: 0 }), 5);
  assertEquals([session.state, session.peerDiscr], [Down, 0]);
  session.receive(packet(Down, { peerDiscr: 0, localDiscr: 7 }), 6);
  assertEquals([session.state, session.peerDiscr], [Init, 7]);
  session.receive(packet(Init, { peerDiscr: 0, localDiscr: 8 }), 7);
  assertEquals(session.peerDiscr, 7);
});

Deno.test("rule 6: every accepted packet moves the detect deadline to one detect time from now", () => {
  const session = initSession(100);
  assertEquals([session.lastRxUs, session.detectDeadlineUs], [100, 100 + DETECT_US]);
  session.receive(packet(Up), 500_000);
  assertEquals([session.lastRxUs, session.detectDeadlineUs], [500_000, 500_000 + DETECT_US]);
});

Deno.test("rule 6: the detect time is our multiplier times the slower of our RX and the peer's TX", () => {
  const session = newSession({ detectMult: 4, rxMinUs: 200_000 });
  session.receive(packet(Down, { detectMult: 200, desiredMinTxUs: 500_000 }), 0);
  assertEquals([session.rxIntervalUs, session.detectTimeUs], [500_000, 2_000_000]);
  session.receive(packet(Init, { desiredMinTxUs: 100_000 }), 0);
  assertEquals([session.rxIntervalUs, session.detectTimeUs], [200_000, 800_000]);
});

Deno.test("rule 6: intervals follow the slower side", () => {
  const session = newSession();
  session.receive(packet(Down, { requiredMinRxUs: 1_000_000, desiredMinTxUs: 100_000 }), 0);
  assertEquals([session.txIntervalUs, session.rxIntervalUs], [1_000_000, 300_000]);
});

Deno.test("rule 6: a peer that only changes what it can receive changes how often we send", () => {
  const session = upSession(0);
  session.receive(packet(Up, { requiredMinRxUs: 700_000 }), 10);
  assertEquals([session.txIntervalUs, session.detectTimeUs], [700_000, DETECT_US]);
});

Deno.test("rule 6: the peer's timers are kept within the floor and the ceiling", () => {
  const session = newSession({ txMinUs: 60_000, rxMinUs: 60_000 });
  session.receive(packet(Down, { requiredMinRxUs: 0xffff_ffff, desiredMinTxUs: 0xffff_ffff }), 0);
  assertEquals([session.peerMinTxUs, session.peerMinRxUs], [3_000_000, 3_000_000]);
  assertEquals([session.txIntervalUs, session.detectTimeUs], [3_000_000, 9_000_000]);
  session.receive(packet(Init, { requiredMinRxUs: 0, desiredMinTxUs: 0 }), 0);
  assertEquals([session.peerMinTxUs, session.peerMinRxUs], [50_000, 50_000]);
  assertEquals([session.txIntervalUs, session.detectTimeUs], [60_000, 180_000]);
});

Deno.test("our own timers are kept within the floor and the ceiling as well", () => {
  const fast = newSession({ txMinUs: 1, rxMinUs: 1 });
  assertEquals([fast.txIntervalUs, fast.rxIntervalUs], [50_000, 50_000]);
  const slow = newSession({ txMinUs: 9_000_000, rxMinUs: 9_000_000 });
  assertEquals([slow.txIntervalUs, slow.detectTimeUs], [3_000_000, 9_000_000]);
});

for (const state of [Down, Init, Up]) {
  Deno.test(`rule 7: Down → Init on ${STATE_NAMES[state]} without our echo`, () => {
    const session = newSession();
    const heard = packet(state, { peerDiscr: 0 });
    assertEquals(session.receive(heard, 5), { from: Down, to: Init, reason: "none" });
  });
}

for (const [state, to] of [[Down, Init], [Init, Up], [Up, Up]] as const) {
  Deno.test(`rule 7: Down → ${STATE_NAMES[to]} on ${STATE_NAMES[state]} that echoes us`, () => {
    const session = newSession();
    assertEquals(session.receive(packet(state), 5), { from: Down, to, reason: "none" });
    assertEquals(session.upSinceUs, to === Up ? 5 : UNSET);
  });
}

Deno.test("rule 7: leaving Down clears since when and why it was down, and the backoff", () => {
  const session = upSession(0);
  session.expireIfDue(DETECT_US);
  for (let i = 0; i < 3; i++) session.computeNextTx();
  assertEquals([session.downReason, session.downSinceUs], ["timeout", DETECT_US]);
  session.receive(packet(Down), 2_000_000);
  assertEquals(session.state, Init);
  assertEquals([session.downReason, session.downSinceUs], ["none", UNSET]);
  assertEquals(session.backoffFactor, 1);
});

Deno.test("rule 7: Init → Up only on Init or Up that echoes us", () => {
  const session = initSession(0);
  assertEquals(session.receive(packet(Init, { peerDiscr: 0 }), 10), null);
  assertEquals(session.receive(packet(Up, { peerDiscr: 0 }), 20), null);
  assertEquals(session.receive(packet(Init), 30), { from: Init, to: Up, reason: "none" });
  assertEquals([session.upSinceUs, session.lastUpdatedUs], [30, 30]);
});

Deno.test("rule 7: a peer that restarted while we are Up is learned anew, and we stay Up", () => {
  const session = upSession(0);
  assertEquals(session.receive(packet(Init, { localDiscr: 0x77, peerDiscr: 0 }), 200_000), null);
  assertEquals([session.state, session.peerDiscr], [Up, 0x77]);
  assertEquals(said(session).peerDiscr, 0x77);
  assertEquals(session.convUpStartUs, 200_000);
});

Deno.test("rule 7: while Up a zero discriminator is no restart", () => {
  const session = upSession(0);
  session.receive(packet(Up, { localDiscr: 0 }), 200_000);
  assertEquals([session.peerDiscr, said(session).peerDiscr], [THEIRS, THEIRS]);
});

// ── What we echo ──────────────────────────────────────────────────────────────────────────────────────

Deno.test("a peer that restarted while we are Down hears its new discriminator", () => {
  const session = upSession(0);
  session.expireIfDue(DETECT_US);
  session.receive(packet(Down, { localDiscr: 0x77, peerDiscr: 0 }), 2_000_000);
  assertEquals(session.state, Init);
  assertEquals(said(session).peerDiscr, 0x77);
});

Deno.test("two sessions come Up again after one of them restarted, whichever state the other is in", () => {
  for (const silentForUs of [0, DETECT_US]) {
    const stayed = upSession(0);
    stayed.expireIfDue(silentForUs);
    const restarted = newSession();
    Object.assign(restarted, { localDiscr: 0x77 });
    let now = 1_000_000;
    for (let round = 0; round < 6; round++, now += 300_000) {
      stayed.receive(said(restarted), now);
      restarted.receive(said(stayed), now);
    }
    assertEquals([stayed.state, restarted.state], [Up, Up], `silent for ${silentForUs} µs`);
  }
});

Deno.test("while Down we echo nobody: two that fell echoing dead names would ignore each other for ever", () => {
  const falls: ((session: Session) => void)[] = [
    (session) => session.expireIfDue(DETECT_US),
    (session) => session.receive(packet(Down), DETECT_US),
    (session) => session.receive(packet(AdminDown), DETECT_US),
  ];
  for (const fall of falls) {
    const session = upSession(0);
    assertEquals(said(session).peerDiscr, THEIRS);
    fall(session);
    assertEquals([session.state, said(session).peerDiscr], [Down, 0]);
  }
});

Deno.test("the farewell of a session that is taken down by its operator still names the peer", () => {
  const session = upSession(0);
  session.adminDown(5);
  assertEquals(said(session).peerDiscr, THEIRS);
});

Deno.test("a packet tells our state, timers, multiplier, mode, version and both discriminators", () => {
  const session = newSession({ passive: true, detectMult: 5, txMinUs: 111_000, rxMinUs: 222_000 });
  session.receive(packet(Down, { requiredMinRxUs: 2_000_000 }), 0);
  assertEquals(
    said(session),
    Object.assign(new ControlPacket(), {
      state: Init,
      detectMult: 5,
      localDiscr: OURS,
      peerDiscr: THEIRS,
      desiredMinTxUs: 111_000,
      requiredMinRxUs: 222_000,
      flags: FLAG_PASSIVE,
      clientVersion: parameters.clientVersion,
    }),
  );
});

// ── Detection ─────────────────────────────────────────────────────────────────────────────────────────

for (const [name, make] of [["Init", initSession], ["Up", upSession]] as const) {
  Deno.test(`${name} times out at its detect deadline and not a microsecond before`, () => {
    const session = make(1_000);
    const from = session.state;
    assertEquals(session.expireIfDue(1_000 + DETECT_US - 1), null);
    assertEquals(session.expireIfDue(1_000 + DETECT_US), { from, to: Down, reason: "timeout" });
    assertEquals([session.detectDeadlineUs, session.backoffFactor], [UNSET, 1]);
    assertEquals(session.expireIfDue(10_000_000), null, "it expires once");
  });
}

Deno.test("a session that has heard nothing has nothing to time out", () => {
  const session = newSession();
  assertEquals([session.isDetecting(), session.armDetect(5)], [false, UNSET]);
  assertEquals(session.expireIfDue(1e12), null);
});

Deno.test("a deadline that passed while nobody watched starts over; one ahead stays", () => {
  const session = upSession(0);
  assertEquals(session.armDetect(DETECT_US - 1), DETECT_US);
  assertEquals(session.armDetect(DETECT_US), 2 * DETECT_US);
  assertEquals(session.detectDeadlineUs, 2 * DETECT_US);
});

// ── Backoff ───────────────────────────────────────────────────────────────────────────────────────────

Deno.test("while Down the interval doubles from call to call up to the cap, and stays there", () => {
  const session = newSession({ txMinUs: 1_000_000, backoffMaxUs: 6_000_000 });
  const intervals = Array.from({ length: 6 }, () => session.computeNextTx() / 1e6);
  assertEquals(intervals, [1, 2, 4, 6, 6, 6]);
  assertEquals(session.backoffFactor, 8, "the factor stops growing at the cap");
});

for (const [name, make] of [["Init", initSession], ["Up", upSession]] as const) {
  Deno.test(`in ${name} the interval is the plain one and the factor 1`, () => {
    const session = make(0);
    session.backoffFactor = 64;
    assertEquals([session.computeNextTx(), session.backoffFactor], [300_000, 1]);
  });
}

Deno.test("the backed-off interval follows the peer's slower receiver", () => {
  const session = newSession();
  session.receive(packet(Down, { localDiscr: 0, peerDiscr: 0, requiredMinRxUs: 2_000_000 }), 0);
  assertEquals(session.state, Down);
  assertEquals([session.computeNextTx(), session.computeNextTx()], [2_000_000, 4_000_000]);
});

// ── Administrative state ──────────────────────────────────────────────────────────────────────────────

for (
  const [name, make] of [
    ["Down", newSession as () => Session],
    ["Init", () => initSession(0)],
    ["Up", () => upSession(0)],
  ] as const
) {
  Deno.test(`an operator takes ${name} down and lets it run again, from the start`, () => {
    const session = make();
    const from = session.state;
    assertEquals(session.adminDown(5), { from, to: AdminDown, reason: "local_admin" });
    assertEquals([session.detectDeadlineUs, session.convUpStartUs], [UNSET, UNSET]);
    assertEquals([session.adminDown(6), session.isDetecting()], [null, false]);
    assertEquals(said(session).state, AdminDown);
    assertEquals(session.adminUp(7), { from: AdminDown, to: Down, reason: "local_admin" });
    assertEquals([session.adminUp(8), session.peerDiscr, said(session).peerDiscr], [null, 0, 0]);
    assertEquals(session.receive(packet(Down), 9), { from: Down, to: Init, reason: "none" });
  });
}

// ── Convergence ───────────────────────────────────────────────────────────────────────────────────────

Deno.test("convergence to Up is counted from the first packet of the handshake", () => {
  const session = newSession();
  session.receive(packet(Down, { localDiscr: 0, peerDiscr: 0 }), 100);
  session.receive(packet(Down, { peerDiscr: 0 }), 200);
  session.receive(packet(Up), 300);
  assertEquals([session.state, session.convUpStartUs], [Up, 100]);
});

Deno.test("a handshake that timed out does not count towards the next one", () => {
  const session = initSession(100);
  session.expireIfDue(100 + DETECT_US);
  assertEquals(session.convUpStartUs, UNSET);
  session.receive(packet(Up), 5_000_000);
  assertEquals(session.convUpStartUs, 5_000_000);
});

Deno.test("convergence to Down is counted from when the next packet should have arrived", () => {
  const session = upSession(1_000_000);
  session.expireIfDue(1_000_000 + DETECT_US);
  assertEquals(session.convDownStartUs, 1_300_000);
});

Deno.test("a handshake that times out in Init is no failure that began anywhere", () => {
  const session = initSession(0);
  session.expireIfDue(DETECT_US);
  assertEquals([session.downReason, session.convDownStartUs], ["timeout", UNSET]);
});

Deno.test("the first sign of a failure counts until somebody has read it", () => {
  const session = upSession(0);
  session.expireIfDue(DETECT_US);
  session.receive(packet(Up), 2_000_000);
  session.receive(packet(AdminDown), 3_000_000);
  assertEquals(session.convDownStartUs, 300_000);
});

for (const [state, reason] of [[AdminDown, "remote_admin"], [Down, "remote_down"]] as const) {
  Deno.test(`convergence to Down is counted from the packet that said so: ${reason}`, () => {
    const session = upSession(0);
    session.receive(packet(state), 2_000_000);
    assertEquals([session.downReason, session.convDownStartUs], [reason, 2_000_000]);
  });
}

Deno.test("a new session knows nothing of its peer and is Down for no reason", () => {
  const session = newSession();
  assertEquals([session.state, session.downReason, session.downSinceUs], [Down, "none", UNSET]);
  assertEquals([session.peerMode, session.peerVersion], ["unknown", VERSION_NOT_TOLD]);
  assertEquals([session.txIntervalUs, session.detectTimeUs], [300_000, DETECT_US]);
});
