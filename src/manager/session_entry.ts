/**
 * A session at work: the pure state machine with its two timers, its peer and the routes that use it.
 *
 * A received packet moves the detect deadline by writing a number in the session. The detect timer is
 * moved with it only when it would fire before the next packet can be there, or when the deadline came
 * nearer because the peer's interval shrank: few packets cost a timer operation, and nothing wakes up
 * to find that it is early. If it does, it looks at the number and goes back to sleep.
 */
import type { EventSession } from "../observe/event.ts";
import { type ControlPacket, encode, PACKET_BYTES, State } from "../protocol/packet.ts";
import { type Session, type Transition, UNSET } from "../protocol/session.ts";
import { jittered, LEAST_SPACING } from "../protocol/timing.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Loop } from "../scheduler/loop.ts";
import type { Random } from "../scheduler/random.ts";
import type { TimerId, TimerOwner, TimerWheel } from "../scheduler/timer_wheel.ts";
import type { Departures } from "./departures.ts";
import type { FormerSession } from "./former_run.ts";
import type { Counter, HistogramSink, LocalEnd } from "./local_end.ts";
import type { ProbeWay } from "./probe_path.ts";
import type { RouteEntry } from "./route_entry.ts";

/** How long a silent session waits when it may not be judged in this turn. */
const POSTPONE_US = 1_000;
/** The first packet leaves within this time, spread at random so that registrations make no burst. */
const FIRST_TX_SPREAD_US = 100_000;
/** How long a resumed session listens, in intervals of its peer. */
const LISTEN_INTERVALS = 2.35;
/** A session that stays Down has its probe route renewed from the third unanswered probe on. */
const RENEW_PROBE_FACTOR = 4;
/** The detect timer follows its deadline when it is less than this many intervals away. */
const MOVE_INTERVALS = 1.25;
/** One transmission in this many has its lateness observed (a power of two). */
const TX_SAMPLE = 16;

/** Why the state changed, in the reference's words for `session_transitions_total`. */
export type TransitionCause =
  | "register_route"
  | "handle_rx"
  | "detect_timeout"
  | "admin_down_route";

/** What a session entry needs from its manager. */
export interface SessionContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  readonly random: Random;
  /** The one packet that everything is written from. */
  readonly scratch: ControlPacket;
  readonly departures: Departures;
  /** How late transmissions (sampled) and verdicts of silence came, against the moment they were due. */
  readonly txLateness: HistogramSink;
  readonly detectLateness: HistogramSink;
  changed(entry: SessionEntry, transition: Transition, cause: TransitionCause): void;
  /** The session probes without an answer: the way to the peer may need mending. */
  unanswered(entry: SessionEntry): void;
}

const NO_ROUTES: readonly RouteEntry[] = [];

export class SessionEntry implements TimerOwner {
  /** The routes that this session gates: one or a few. */
  routes: readonly RouteEntry[] = NO_ROUTES;
  /** What events about this session name. */
  readonly subject: EventSession;
  readonly #txTimer: TimerId;
  readonly #detectTimer: TimerId;

  lastTxUs = UNSET;
  txPackets = 0;
  rxPackets = 0;
  sendErrors = 0;
  /** Why a send failed since the peer was last heard; `null` when none did. */
  sendError: string | null = null;
  flaps = 0;
  wasUp = false;
  /** An operator took it down; excluded destinations do so as well, but are counted by their routes. */
  operatorDown = false;
  /** The route that its probes take; `null` on a point-to-point link, and as long as there was no interface. */
  way: ProbeWay | null = null;

  /** When it was registered, µs. */
  startedUs = 0;
  /** How long it listens before it speaks, µs; 0 from the first word of either side on. */
  listenUs = 0;
  #formerIntervalUs = 0;
  /** What was recorded last; nothing yet: -1. */
  #recordedIntervalUs = -1;
  #recordedPassive = false;
  #rxCounter: Counter;
  #rxVersion: number;

  constructor(
    readonly end: LocalEnd,
    /** Dotted quad. */
    readonly peer: string,
    readonly peerKey: number,
    /** Next hop that the probes take, as the routes do. */
    readonly via: string,
    readonly session: Session,
    private readonly context: SessionContext,
  ) {
    this.subject = { dev: end.dev, src: end.address, peer };
    this.#txTimer = context.wheel.add(this);
    this.#detectTimer = context.wheel.add(this);
    this.#rxVersion = session.peerVersion;
    this.#rxCounter = end.counters.forVersion(this.#rxVersion);
  }

  /** Arms the first transmission. */
  start(): void {
    this.startedUs = this.context.clock.now();
    this.#armFirst(this.startedUs);
  }

  /**
   * Goes on where a former run's session was cut off. A peer that has not noticed still says Up and names us:
   * its next packet takes us straight to Up, and our first word is Up. Any other first word would take it
   * down, and so we listen until two of its packets must have come, with their jitter of 10 % and some for
   * the path's: one may get lost, as often happens to the first after the host has refused another.
   */
  resume({ interval_us, passive }: FormerSession, ended: boolean): void {
    const { session } = this;
    this.#formerIntervalUs = Math.min(interval_us, session.parameters.maxTxCeilUs);
    if (passive) session.peerMode = "passive";
    if (!ended) this.listenUs = LISTEN_INTERVALS * this.intervalUs;
  }

  /** How often the peer sends while Up, µs: as it says, or as it said to a former run. */
  get intervalUs(): number {
    const { session } = this;
    return session.peerMinTxUs > 0
      ? session.rxIntervalUs
      : Math.max(session.rxIntervalUs, this.#formerIntervalUs);
  }

  /** Whether what was last {@linkcode record}ed still holds. */
  get recordHolds(): boolean {
    const { session } = this;
    return this.#recordedIntervalUs === this.intervalUs &&
      this.#recordedPassive === (session.peerMode === "passive");
  }

  /** What a next run needs to know of it. */
  record(): FormerSession {
    const { end, peer, session } = this;
    this.#recordedIntervalUs = this.intervalUs;
    this.#recordedPassive = session.peerMode === "passive";
    return {
      dev: end.dev,
      src: end.address,
      peer,
      discriminator: session.localDiscr,
      interval_us: this.#recordedIntervalUs,
      passive: this.#recordedPassive,
    };
  }

  /** Gives the timers back. The session is of no use afterwards. */
  stop(): void {
    this.context.wheel.remove(this.#txTimer);
    this.context.wheel.remove(this.#detectTimer);
  }

  /** A valid packet from the peer. */
  receive(packet: ControlPacket, now: number): void {
    const { session } = this;
    this.rxPackets++;
    this.sendError = null;
    this.listenUs = 0;
    const intervalBefore = session.txIntervalUs;
    const transition = session.receive(packet, now);
    if (session.peerVersion !== this.#rxVersion) this.#countVersion();
    this.#rxCounter.count++;
    if (session.isDetecting()) this.#watch(now);
    if (transition !== null) this.context.changed(this, transition, "handle_rx");
    else if (session.txIntervalUs < intervalBefore) this.#hasten(now);
  }

  due(timer: TimerId, now: number): void {
    if (timer === this.#txTimer) this.#transmitDue(now);
    else this.#detectDue(now);
  }

  /** Saves an idle host a wake-up of its own for the next packet, if it may leave now. */
  dueSoon(timer: TimerId, now: number): void {
    const { state, txIntervalUs } = this.session;
    if (timer !== this.#txTimer || state !== State.Up) return;
    if (now - this.lastTxUs >= LEAST_SPACING * txIntervalUs) this.#transmitDue(now);
  }

  /** Makes the state known as soon as pacing allows: the pending transmission is pulled forward. */
  advertise(now: number): void {
    const { wheel } = this.context;
    const at = this.lastTxUs === UNSET
      ? now
      : Math.max(now, this.lastTxUs + this.session.txIntervalUs);
    if (!wheel.isArmed(this.#txTimer) || wheel.deadline(this.#txTimer) > at) {
      wheel.arm(this.#txTimer, at);
    }
  }

  /** The way to the peer may be open again: probe now instead of when the backoff ends. */
  retryNow(now: number): void {
    if (this.session.state !== State.Down) return;
    this.session.backoffFactor = 1;
    if (this.listenUs > 0) this.#armFirst(now);
    else this.advertise(now);
  }

  /** Sends one packet now, whatever the pacing. Returns false when the endpoint is not open. */
  transmit(now: number): boolean {
    const { end, session, context } = this;
    const offset = end.endpoint.claim(this.peerKey);
    if (offset < 0) return false;
    session.describe(context.scratch);
    encode(context.scratch, end.endpoint.tx, offset);
    end.endpoint.commit(PACKET_BYTES);
    this.lastTxUs = now;
    this.listenUs = 0;
    this.txPackets++;
    end.counters.txPackets++;
    context.departures.add(this);
    return true;
  }

  /** Its packet left this much later than {@linkcode transmit} was called: the next one keeps its distance. */
  leftLate(us: number): void {
    const { wheel } = this.context;
    this.lastTxUs += us;
    if (wheel.isArmed(this.#txTimer)) wheel.arm(this.#txTimer, wheel.deadline(this.#txTimer) + us);
  }

  /** Takes back the pending transmission: nothing is sent until something changes. */
  keepStill(): void {
    this.context.wheel.cancel(this.#txTimer);
  }

  #armFirst(now: number): void {
    const { wheel, random } = this.context;
    const spread = Math.floor(random.fraction() * FIRST_TX_SPREAD_US);
    wheel.arm(this.#txTimer, now + this.listenUs + spread);
  }

  #transmitDue(now: number): void {
    const { session, context } = this;
    if ((this.txPackets & (TX_SAMPLE - 1)) === 0) {
      const lateUs = now - context.wheel.deadline(this.#txTimer);
      context.txLateness.observe(Math.max(0, lateUs) / 1e6);
    }
    if (session.state === State.Down && session.backoffFactor >= RENEW_PROBE_FACTOR) {
      context.unanswered(this);
    }
    this.transmit(now);
    if (session.state === State.AdminDown) return;
    const interval = jittered(session.computeNextTx(), context.random.fraction());
    context.wheel.armIn(this.#txTimer, interval);
  }

  #detectDue(now: number): void {
    const { session, context } = this;
    if (!session.isDetecting()) return;
    if (now < session.detectDeadlineUs) {
      context.wheel.arm(this.#detectTimer, session.detectDeadlineUs);
    } else if (!context.loop.mayJudge()) {
      if (context.loop.overBudget) this.end.counters.eventsPostponed++;
      context.wheel.arm(this.#detectTimer, now + POSTPONE_US);
    } else {
      const lateUs = context.clock.now() - session.detectDeadlineUs;
      const transition = session.expireIfDue(now);
      if (transition === null) return;
      context.detectLateness.observe(lateUs / 1e6);
      context.changed(this, transition, "detect_timeout");
    }
  }

  #watch(now: number): void {
    const { wheel } = this.context;
    const { session } = this;
    if (!wheel.isArmed(this.#detectTimer)) {
      wheel.arm(this.#detectTimer, session.armDetect(now));
      return;
    }
    const leftUs = wheel.deadline(this.#detectTimer) - now;
    if (leftUs < MOVE_INTERVALS * session.rxIntervalUs || leftUs > session.detectTimeUs) {
      wheel.armIn(this.#detectTimer, session.detectDeadlineUs - now);
    }
  }

  /** The peer now wants packets more often; the one pending may be too late for its detect time. */
  #hasten(now: number): void {
    const { wheel, random } = this.context;
    const at = Math.max(
      now,
      this.lastTxUs + jittered(this.session.txIntervalUs, random.fraction()),
    );
    if (wheel.isArmed(this.#txTimer) && wheel.deadline(this.#txTimer) > at) {
      wheel.arm(this.#txTimer, at);
    }
  }

  #countVersion(): void {
    this.#rxVersion = this.session.peerVersion;
    this.#rxCounter = this.end.counters.forVersion(this.#rxVersion);
  }
}
