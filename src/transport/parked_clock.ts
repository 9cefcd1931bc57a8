import type { Parking } from "./parking.ts";

/** The clock that parks over: real time with one timer of the runtime's. */
interface TimerClock {
  now(): number;
  wall(): number;
  wakeAt(at: number, wake: () => void): void;
}

/**
 * The runtime gets a turn this often even when it seems to have nothing to do, µs: sooner at first. What it
 * was told of and had not yet begun when a park started (a request whose first byte came in the same half
 * millisecond) shows nowhere, and waits for the end of the park.
 */
const FIRST_PARK_US = 20_000;
const PARK_GROWTH = 8;
const PARK_US = 2_000_000;
/**
 * After the runtime had something to do, it is left alone for this long, µs: one thing leads to another, and
 * one request to the next.
 */
const LIVELY_US = 100_000;

/**
 * A clock whose wake-ups come while the process is parked (see parking.ts), whenever that is possible, and
 * by the runtime's timer otherwise.
 */
export class ParkedClock {
  #wakeAt = Infinity;
  #wake: () => void = () => {};
  #parked = false;
  #livelyUntil: number;
  #lastActivity = -1;
  #parkUs = FIRST_PARK_US;

  /**
   * @param idle whether nobody is known to wait for the runtime: no kernel request, no pause within an answer
   * @param activity grows with everything that starts something in the runtime
   */
  constructor(
    private readonly clock: TimerClock,
    private readonly parking: Parking,
    private readonly idle: () => boolean,
    private readonly activity: () => number,
  ) {
    this.#livelyUntil = clock.now() + LIVELY_US;
  }

  now(): number {
    return this.clock.now();
  }

  wall(): number {
    return this.clock.wall();
  }

  wakeAt(at: number, wake: () => void): void {
    this.#wakeAt = at;
    this.#wake = wake;
    if (!this.#parked) this.#sleep();
  }

  readonly #fire = (): void => {
    // Until it is known whether we park, no timer is armed: that alone would wake the runtime again.
    this.#parked = true;
    try {
      if (this.now() >= this.#wakeAt) this.#takeWake();
      if (this.#mayPark()) this.#park();
    } finally {
      this.#parked = false;
      this.#sleep();
    }
  };

  /** Leaves it to the runtime to end the wait: for the next wake-up, or for parking as soon as it may be. */
  #sleep(): void {
    const parkAt = this.parking.parkable ? Math.max(this.#livelyUntil, this.now()) : Infinity;
    const at = this.#wakeAt === Infinity ? Infinity : Math.min(this.#wakeAt, parkAt);
    this.clock.wakeAt(at, this.#fire);
  }

  #takeWake(): void {
    this.#wakeAt = Infinity;
    this.#wake();
  }

  #mayPark(): boolean {
    const activity = this.activity();
    const quiet = activity === this.#lastActivity && this.idle();
    this.#lastActivity = activity;
    if (!quiet) this.#leaveAlone();
    return quiet && this.parking.parkable && this.now() >= this.#livelyUntil;
  }

  #park(): void {
    this.parking.enterPark();
    try {
      this.#waitUntil(this.now() + this.#parkUs);
    } finally {
      this.parking.leavePark();
    }
  }

  /** Waits and handles, until `end`, or until there is something that only the runtime can do. */
  #waitUntil(end: number): void {
    for (let now = this.now(); now < end; now = this.now()) {
      if (now >= this.#wakeAt) {
        this.#takeWake();
      } else {
        const timeoutMs = Math.ceil((Math.min(this.#wakeAt, end) - now) / 1_000);
        const ended = this.parking.park(timeoutMs);
        if (ended === "timeout") continue;
        if (ended === "runtime") return this.#leaveAlone();
        this.parking.arrived();
      }
      if (!this.#mayPark()) return;
    }
    this.#parkUs = Math.min(this.#parkUs * PARK_GROWTH, PARK_US);
  }

  /** The runtime has something to do. */
  #leaveAlone(): void {
    this.#livelyUntil = this.now() + LIVELY_US;
    this.#parkUs = FIRST_PARK_US;
  }
}
