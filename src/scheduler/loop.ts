/**
 * The cooperative loop: the one place that decides what happens when.
 *
 * A turn reads every socket first, then delivers due timers, then sends what both led to. Reading comes
 * before judging, so that a loop that was late does not condemn a peer whose packets are waiting; and as
 * long as the transport says that more may be waiting, nobody is judged at all.
 *
 * What starts a turn depends on the load. With little traffic each arriving datagram does (`wakeup` mode:
 * lowest latency, no cost while idle), and what is due soon anyway may go along. With much traffic a tick does (`tick` mode: packets wait for each
 * other a few milliseconds and are moved in batches). Thresholds far apart keep the modes from alternating.
 */
import type { Clock } from "./clock.ts";
import type { TimerWheel } from "./timer_wheel.ts";

/** The part of the transport that the loop drives. */
export interface Drained {
  readonly received: number;
  drain(): boolean;
  flush(): void;
  wakeOnArrival(on: boolean): void;
}

/** Takes one measurement, in seconds. */
export interface Observer {
  observe(seconds: number): void;
}

export interface LoopOptions {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly transport: Drained;
  /** How many silent sessions one turn may declare down at most; the rest waits for the next turn. */
  readonly maxEvents: number;
  /** Gets each turn's lateness against the moment that it was asked for. */
  readonly lag: Observer;
  /** Told at the end of each turn how long after {@linkcode Loop.now} the last of its packets left, µs. */
  readonly flushed?: (afterUs: number) => void;
  /** Told when a turn came more than {@linkcode STALL_US} late. */
  readonly stalled?: (lateUs: number) => void;
}

export type LoopMode = "wakeup" | "tick";

/** A turn later than this is a stall of this host, worth an event: 100 ms in µs. */
export const STALL_US = 100_000;

const TICK_US = 5_000;
/** Two turns in wake-up mode are at least this far apart when only timers ask for them. */
const TIMER_GAP_US = 1_000;
/** How far ahead a turn in wake-up mode looks for what may be done early. */
const SOON_US = 160_000;
const WINDOW_US = 250_000;
/** Datagrams per second above which ticking costs less than waking for each. */
const BUSY_RATE = 1_000;
/** Datagrams per second below which waking for each costs less again. */
const QUIET_RATE = 500;

export class Loop {
  mode: LoopMode = "wakeup";
  turns = 0;
  /** Grows when a turn leaves something to the runtime that nothing else tells of: a promise settled. */
  stirred = 0;
  /** When the last stall ended, and how long it was, µs. */
  lastStallAt = -Infinity;
  lastStallUs = 0;
  /** Expired sessions that had to wait for a later turn because of the bound. */
  eventsPostponed = 0;
  /** The bound was reached in this turn. */
  overBudget = false;

  readonly #options: LoopOptions;
  #running = false;
  #inTurn = false;
  #expectedAt = Infinity;
  #mayJudge = false;
  #judged = 0;
  #windowStart: number;
  #windowReceived = 0;

  constructor(options: LoopOptions) {
    this.#options = options;
    this.refresh();
    this.#windowStart = this.now;
  }

  /** The time of this turn, µs: what handlers use instead of asking the clock for each packet. */
  get now(): number {
    return this.#options.wheel.now;
  }

  start(): void {
    this.#running = true;
    this.wake();
  }

  /** Ends the turns; a turn that is under way completes. */
  stop(): void {
    this.#running = false;
    this.#options.clock.wakeAt(Infinity, this.#timerTurn);
  }

  /** Asks for a turn at once: timers were armed from outside a turn. */
  wake(): void {
    if (!this.#running || this.#inTurn) return;
    // A turn that is overdue already stays so: how late it comes must be seen.
    this.#sleepUntil(Math.min(this.#expectedAt, this.#options.clock.now()));
  }

  /** A turn now, because datagrams arrived. */
  readonly arrived = (): void => {
    if (!this.#running || this.#inTurn) return;
    const now = this.#options.clock.now();
    // After a stall a datagram may come before the timer that is overdue.
    if (now > this.#expectedAt) this.#noteLag(now - this.#expectedAt, now);
    this.#turn(now);
  };

  /** Sets {@linkcode now} for what happens between turns; within a turn time stands still. */
  refresh(): void {
    if (!this.#inTurn) this.#options.wheel.now = this.#options.clock.now();
  }

  /** May a silent session be declared down in this turn? Counts the ones that may. */
  mayJudge(): boolean {
    if (!this.#mayJudge) return false;
    if (this.#judged >= this.#options.maxEvents) {
      this.eventsPostponed++;
      this.overBudget = true;
      return false;
    }
    this.#judged++;
    return true;
  }

  readonly #timerTurn = (): void => {
    if (!this.#running) return;
    const now = this.#options.clock.now();
    this.#noteLag(now - this.#expectedAt, now);
    this.#turn(now);
  };

  #turn(startedAt: number): void {
    const { clock, transport, wheel, flushed } = this.#options;
    this.#inTurn = true;
    this.turns++;
    wheel.now = startedAt;
    try {
      this.#mayJudge = transport.drain();
      this.#judged = 0;
      this.overBudget = false;
      wheel.advance(clock.now());
      if (this.mode === "wakeup") wheel.offer(SOON_US);
      transport.flush();
      flushed?.(clock.now() - wheel.now);
    } finally {
      // Whatever went wrong with one session, the others need the next turn.
      this.#inTurn = false;
      this.#weighLoad();
      if (this.#running) this.#sleep(startedAt);
    }
  }

  #sleep(startedAt: number): void {
    if (this.mode === "tick") return this.#sleepUntil(startedAt + TICK_US);
    const deadline = this.#options.wheel.nextDeadline();
    this.#sleepUntil(Math.max(deadline, this.now + TIMER_GAP_US));
  }

  #sleepUntil(at: number): void {
    this.#expectedAt = at;
    this.#options.clock.wakeAt(at, this.#timerTurn);
  }

  #noteLag(lateUs: number, now: number): void {
    const late = Math.max(0, lateUs);
    this.#options.lag.observe(late / 1e6);
    if (late <= STALL_US) return;
    this.lastStallAt = now;
    this.lastStallUs = late;
    this.#options.stalled?.(late);
  }

  #weighLoad(): void {
    const elapsed = this.now - this.#windowStart;
    if (elapsed < WINDOW_US) return;
    const { received } = this.#options.transport;
    const rate = (received - this.#windowReceived) * 1e6 / elapsed;
    this.#windowStart = this.now;
    this.#windowReceived = received;
    if (this.mode === "wakeup" ? rate > BUSY_RATE : rate < QUIET_RATE) this.#switchMode();
  }

  #switchMode(): void {
    this.mode = this.mode === "wakeup" ? "tick" : "wakeup";
    this.#options.transport.wakeOnArrival(this.mode === "wakeup");
  }
}
