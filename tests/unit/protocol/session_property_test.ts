import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ControlPacket, decode, encode, State } from "../../../src/protocol/packet.ts";
import { Session, type Transition, UNSET } from "../../../src/protocol/session.ts";
import { OURS, packet, parameters } from "./support.ts";

/** What can happen to a session, `after` µs later than what happened before. */
const event = fc.record({
  after: fc.oneof(fc.nat(400_000), fc.nat(10_000_000)),
  what: fc.oneof(
    { weight: 6, arbitrary: fc.constant("receive" as const) },
    fc.constantFrom("expire" as const, "send" as const, "arm" as const),
    fc.constantFrom("adminDown" as const, "adminUp" as const),
  ),
  state: fc.constantFrom(State.AdminDown, State.Down, State.Init, State.Up),
  localDiscr: fc.constantFrom(0, 7, 8),
  peerDiscr: fc.constantFrom(0, OURS, OURS + 1),
  desiredMinTxUs: fc.nat(0xffff_ffff),
  requiredMinRxUs: fc.nat(0xffff_ffff),
});

type SessionEvent = typeof event extends fc.Arbitrary<infer T> ? T : never;

function apply(session: Session, event: SessionEvent, now: number): Transition | null {
  switch (event.what) {
    case "receive":
      return session.receive(packet(event.state, event), now);
    case "expire":
      return session.expireIfDue(now);
    case "adminDown":
      return session.adminDown(now);
    case "adminUp":
      return session.adminUp(now);
    case "arm":
      session.armDetect(now);
      return null;
    case "send": {
      const interval = session.computeNextTx();
      assert(interval >= parameters.minTxFloorUs && interval <= parameters.backoffMaxUs);
      return null;
    }
  }
}

function checkState(session: Session): void {
  const { state, detectDeadlineUs, lastRxUs, detectTimeUs } = session;
  assertEquals(session.isDetecting(), state >= State.Init, "detecting exactly in Init and Up");
  if (state === State.AdminDown) assertEquals(detectDeadlineUs, UNSET);
  // A peer that does not name itself is heard without a handshake; its silence condemns nobody.
  if (state === State.Down && detectDeadlineUs !== UNSET) assertEquals(session.peerDiscr, 0);
  if (state >= State.Init) {
    assert(detectDeadlineUs >= lastRxUs + detectTimeUs);
    assert(session.peerDiscr !== 0);
    assertEquals([session.downReason, session.downSinceUs], ["none", UNSET]);
  }
  if (state === State.Down) assertEquals(session.heardDiscr, 0, "while Down nobody is echoed");
  assertEquals(session.upSinceUs !== UNSET, state === State.Up);
  if (state !== State.Down) assertEquals(session.backoffFactor, 1);
  for (const interval of [session.txIntervalUs, session.rxIntervalUs]) {
    assert(interval >= parameters.minTxFloorUs && interval <= parameters.maxTxCeilUs);
  }
  assert(session.txIntervalUs >= parameters.txMinUs, "never faster than configured");
  assertEquals(detectTimeUs, parameters.detectMult * session.rxIntervalUs);
}

Deno.test("after any sequence of events a session is consistent and says truly what changed", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60, size: "max" }), (events) => {
      const session = new Session(parameters, OURS, 0);
      let now = 0;
      for (const event of events) {
        now += event.after;
        const from = session.state;
        const transition = apply(session, event, now);
        if (transition === null) assertEquals(session.state, from, "a silent change of state");
        else {
          assertEquals([transition.from, transition.to], [from, session.state]);
          assert(transition.from !== transition.to);
          assertEquals(session.lastUpdatedUs, now);
          const downwards = transition.to <= State.Down;
          assertEquals(transition.reason === "none", !downwards);
          if (downwards) assertEquals(session.downReason, transition.reason);
        }
        checkState(session);
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("two sessions that hear each other end Up, whatever happened to them before", () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 30, size: "max" }),
      fc.array(event, { maxLength: 30, size: "max" }),
      (a, b) => {
        const one = new Session(parameters, OURS, 0);
        const two = new Session(parameters, OURS, 0);
        Object.assign(two, { localDiscr: 8 });
        let now = 0;
        for (const event of a) apply(one, event, now += event.after);
        for (const event of b) apply(two, event, now += event.after);
        one.adminUp(now);
        two.adminUp(now);
        const bytes = new DataView(new ArrayBuffer(64));
        const heard = new ControlPacket();
        for (let round = 0; round < 60; round++) {
          for (const [from, to] of [[one, two], [two, one]] as const) {
            now += 150_000;
            from.expireIfDue(now);
            to.expireIfDue(now);
            from.describe(heard);
            encode(heard, bytes, 3);
            assertEquals(decode(bytes, 3, 40, heard), null);
            to.receive(heard, now);
          }
        }
        assertEquals([one.state, two.state], [State.Up, State.Up]);
      },
    ),
    { numRuns: 500 },
  );
});
