/**
 * The session state machine: one instance per (interface, local IP, peer IP).
 *
 * It performs nothing. Each event method says what followed (a {@linkcode Transition}, or `null` when the
 * state stayed) and the caller carries the consequences out. Time comes in as an argument, in whole
 * microseconds of a monotonic clock; every field is a plain number, so that handling a packet writes
 * numbers and allocates nothing.
 *
 * States as in RFC 5880 §6.8.6, with the reference's additions (numbered as in its description):
 *
 * ```text
 *              local admin down (from any state)
 *   AdminDown ◀────────────────────────────────── …
 *       │ local admin up
 *       ▼        peer known, no echo          echo, Init|Up
 *     Down ──────────────────────────▶ Init ─────────────────▶ Up
 *      ▲ └──────────── echo, Init|Up ─────────────────────────▶ │
 *      └──── timeout · peer AdminDown · peer Down ──────────────┘
 * ```
 */
import { type ControlPacket, FLAG_PASSIVE, State } from "./packet.ts";
import { backedOff, type Bounds, clampInterval } from "./timing.ts";
import { type ClientVersion, VERSION_NOT_TOLD } from "./version.ts";

/** A moment or deadline that is not set. Monotonic time is never negative. */
export const UNSET = -1;

/** Why the session was last taken down. */
export type DownReason = "none" | "timeout" | "remote_admin" | "local_admin" | "remote_down";

/** What the peer said of itself: whether it manages routes or only observes. */
export type PeerMode = "unknown" | "active" | "passive";

/** What a session needs to know for all its life. */
export interface SessionParameters extends Bounds {
  readonly txMinUs: number;
  readonly rxMinUs: number;
  /** 1..255 */
  readonly detectMult: number;
  /** Advertised in the flags. */
  readonly passive: boolean;
  readonly clientVersion: ClientVersion;
}

/** A change of state. `reason` is the down reason when `to` is Down or AdminDown, otherwise `none`. */
export interface Transition {
  readonly from: State;
  readonly to: State;
  readonly reason: DownReason;
}

export class Session {
  state: State = State.Down;
  /** Random, non-zero, chosen anew for each instance. */
  readonly localDiscr: number;
  /** The peer's discriminator as the reference keeps it: learned once, and anew only while Up. */
  peerDiscr = 0;
  /**
   * What the peer last called itself, and what we echo (RFC 5880 §6.8.6, bfd.RemoteDiscr); 0 while
   * unknown and while Down. A peer that restarted ignores packets that name its former self: echoing
   * {@linkcode peerDiscr} to it, or what was heard before the fall, could keep both Down for ever.
   */
  heardDiscr = 0;

  /** The peer's timers, clamped; 0 while unknown. */
  peerMinTxUs = 0;
  peerMinRxUs = 0;
  peerMode: PeerMode = "unknown";
  peerVersion: ClientVersion = VERSION_NOT_TOLD;

  /** Derived from both sides' timers; kept so that the hot path only reads them. */
  txIntervalUs = 0;
  rxIntervalUs = 0;
  detectTimeUs = 0;

  lastRxUs = UNSET;
  /** When silence becomes a timeout; {@linkcode UNSET} while nothing is armed. */
  detectDeadlineUs = UNSET;
  backoffFactor = 1;

  upSinceUs = UNSET;
  downSinceUs = UNSET;
  downReason: DownReason = "none";
  /** When the state last changed. */
  lastUpdatedUs: number;
  /** First packet of the handshake that led, or may lead, to Up. */
  convUpStartUs = UNSET;
  /** When the failure that led to the last Down began. */
  convDownStartUs = UNSET;

  constructor(readonly parameters: SessionParameters, localDiscr: number, now: number) {
    this.localDiscr = localDiscr;
    this.lastUpdatedUs = now;
    this.#deriveIntervals();
  }

  /**
   * A valid packet that belongs to this session. The steps are those of RFC 5880 §6.8.6 as the
   * reference orders them; the first that matches wins.
   */
  receive(packet: ControlPacket, now: number): Transition | null {
    if (this.state === State.AdminDown) return null;
    if (packet.peerDiscr !== 0 && packet.peerDiscr !== this.localDiscr) return null;

    this.peerMode = (packet.flags & FLAG_PASSIVE) !== 0 ? "passive" : "active";
    this.peerVersion = packet.clientVersion;
    if (packet.localDiscr !== 0) this.heardDiscr = packet.localDiscr;

    if (packet.state === State.AdminDown) return this.#remoteDown("remote_admin", now);
    if (packet.state === State.Down && this.state >= State.Init) {
      if (this.#isFreshlyUp(now)) return null;
      this.convUpStartUs = UNSET;
      return this.#remoteDown("remote_down", now);
    }
    this.#hear(packet, now);
    return this.#advance(packet, now);
  }

  /** Takes the session Down when its detect deadline has passed (RFC 5880 §6.8.4). */
  expireIfDue(now: number): Transition | null {
    if (!this.isDetecting() || now < this.detectDeadlineUs) return null;
    if (this.state === State.Up) this.#markFailure(this.lastRxUs + this.rxIntervalUs);
    this.convUpStartUs = UNSET;
    return this.#fall("timeout", now);
  }

  /** True while silence counts against the peer. */
  isDetecting(): boolean {
    return this.state >= State.Init && this.detectDeadlineUs !== UNSET;
  }

  /**
   * The deadline to watch from `now` on, or {@linkcode UNSET}. A deadline that passed while nobody
   * watched is moved to a full detect time from now: nobody is condemned for our own absence.
   */
  armDetect(now: number): number {
    if (!this.isDetecting()) return UNSET;
    if (this.detectDeadlineUs <= now) this.detectDeadlineUs = now + this.detectTimeUs;
    return this.detectDeadlineUs;
  }

  /**
   * Mean time to the next periodic transmission in µs, before jitter. While Down it doubles with every
   * call until the cap is reached; any other state returns to the plain interval.
   */
  computeNextTx(): number {
    if (this.state !== State.Down) {
      this.backoffFactor = 1;
      return this.txIntervalUs;
    }
    const interval = backedOff(this.txIntervalUs, this.backoffFactor, this.parameters);
    if (interval < this.parameters.backoffMaxUs) this.backoffFactor *= 2;
    return interval;
  }

  /** The operator takes the session down: it sends one AdminDown and then keeps still. */
  adminDown(now: number): Transition | null {
    if (this.state === State.AdminDown) return null;
    this.convUpStartUs = UNSET;
    return this.#fall("local_admin", now, State.AdminDown);
  }

  /** The operator lets the session run again: the handshake starts over. */
  adminUp(now: number): Transition | null {
    if (this.state !== State.AdminDown) return null;
    // The peer may have restarted meanwhile; what it was called before says nothing now.
    this.peerDiscr = 0;
    return this.#fall("local_admin", now);
  }

  /** Fills `packet` with what this session says now. */
  describe(packet: ControlPacket): void {
    const { parameters } = this;
    packet.state = this.state;
    packet.detectMult = parameters.detectMult;
    packet.localDiscr = this.localDiscr;
    packet.peerDiscr = this.heardDiscr;
    packet.desiredMinTxUs = parameters.txMinUs;
    packet.requiredMinRxUs = parameters.rxMinUs;
    packet.flags = parameters.passive ? FLAG_PASSIVE : 0;
    packet.clientVersion = parameters.clientVersion;
  }

  /** A Down that was on its way while we came Up is stale: it says nothing of the path now. */
  #isFreshlyUp(now: number): boolean {
    return this.state === State.Up && now - this.upSinceUs < this.detectTimeUs;
  }

  /** While Down already, only the reason changes: nothing follows from it. */
  #remoteDown(reason: "remote_admin" | "remote_down", now: number): Transition | null {
    if (this.state !== State.Down) this.#markFailure(now);
    const transition = this.#fall(reason, now);
    return transition.from === State.Down ? null : transition;
  }

  /** The clock of a failure starts with its first sign and runs until somebody has read it. */
  #markFailure(at: number): void {
    if (this.convDownStartUs === UNSET) this.convDownStartUs = at;
  }

  /** Learns what the packet says of the peer and pushes the detect deadline out. */
  #hear(packet: ControlPacket, now: number): void {
    if (this.peerDiscr === 0) this.peerDiscr = packet.localDiscr;
    const minTx = clampInterval(packet.desiredMinTxUs, this.parameters);
    const minRx = clampInterval(packet.requiredMinRxUs, this.parameters);
    if (minTx !== this.peerMinTxUs || minRx !== this.peerMinRxUs) {
      this.peerMinTxUs = minTx;
      this.peerMinRxUs = minRx;
      this.#deriveIntervals();
    }
    this.lastRxUs = now;
    this.detectDeadlineUs = now + this.detectTimeUs;
  }

  /** The handshake proper: what the state becomes after a packet that keeps the session alive. */
  #advance(packet: ControlPacket, now: number): Transition | null {
    const confirmed = packet.peerDiscr === this.localDiscr && packet.state >= State.Init;
    switch (this.state) {
      case State.Down:
        if (this.convUpStartUs === UNSET) this.convUpStartUs = now;
        if (this.peerDiscr === 0) return null;
        this.downSinceUs = UNSET;
        this.downReason = "none";
        this.backoffFactor = 1;
        return this.#enter(confirmed ? State.Up : State.Init, "none", now);
      case State.Init:
        return confirmed ? this.#enter(State.Up, "none", now) : null;
      default:
        this.#noticeRestart(packet, now);
        return null;
    }
  }

  /** A peer that restarted while we were Up is alive; only its name changed. */
  #noticeRestart(packet: ControlPacket, now: number): void {
    if (packet.localDiscr === 0 || packet.localDiscr === this.peerDiscr) return;
    this.peerDiscr = packet.localDiscr;
    this.convUpStartUs = now;
    this.lastUpdatedUs = now;
  }

  #deriveIntervals(): void {
    const { parameters } = this;
    this.txIntervalUs = clampInterval(Math.max(parameters.txMinUs, this.peerMinRxUs), parameters);
    this.rxIntervalUs = clampInterval(Math.max(this.peerMinTxUs, parameters.rxMinUs), parameters);
    this.detectTimeUs = parameters.detectMult * this.rxIntervalUs;
  }

  #fall(
    reason: DownReason,
    now: number,
    to: typeof State.Down | typeof State.AdminDown = State.Down,
  ): Transition {
    this.detectDeadlineUs = UNSET;
    this.backoffFactor = 1;
    this.upSinceUs = UNSET;
    this.downSinceUs = now;
    this.downReason = reason;
    // The farewell of an AdminDown session still names the peer.
    if (to === State.Down) this.heardDiscr = 0;
    return this.#enter(to, reason, now);
  }

  /** The only place where the state is set. */
  #enter(to: State, reason: DownReason, now: number): Transition {
    const from = this.state;
    this.state = to;
    this.lastUpdatedUs = now;
    if (to === State.Up) this.upSinceUs = now;
    return { from, to, reason };
  }
}
