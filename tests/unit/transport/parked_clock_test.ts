import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { ParkedClock } from "../../../src/transport/parked_clock.ts";
import type { ParkEnd, Parking } from "../../../src/transport/parking.ts";

const MS = 1_000;
const S = 1_000_000;

/** A host in which time passes only by waiting, be it parked or in the runtime's timer. */
class Host implements Parking {
  time = 5 * S;
  parkable = true;
  parked = false;
  /** Moments at which a packet arrives, or the runtime gets something to do. */
  arrivals: number[] = [];
  runtimeWork: number[] = [];
  readonly log: string[] = [];
  #timer: { at: number; fire: () => void } | null = null;
  onArrival: () => void = () => {};

  readonly timerClock = {
    now: () => this.time,
    wall: () => 0,
    wakeAt: (at: number, fire: () => void) => {
      this.#timer = at === Infinity ? null : { at, fire };
    },
  };

  /** Lets the runtime's timer fire, as the event loop would. Returns false when none is armed. */
  runTimer(): boolean {
    const timer = this.#timer;
    if (timer === null) return false;
    this.#timer = null;
    this.time = Math.max(this.time, timer.at);
    timer.fire();
    return true;
  }

  enterPark(): void {
    this.parked = true;
  }

  leavePark(): void {
    this.parked = false;
  }

  park(timeoutMs: number): ParkEnd {
    const until = this.time + timeoutMs * MS;
    const arrival = this.arrivals[0] ?? Infinity;
    const work = this.runtimeWork[0] ?? Infinity;
    this.time = Math.max(this.time, Math.min(until, arrival, work));
    if (this.time >= work) {
      this.log.push("runtime");
      return "runtime";
    }
    if (this.time < arrival) return "timeout";
    this.arrivals.shift();
    return "arrival";
  }

  arrived(): void {
    this.log.push("arrival");
    this.onArrival();
  }
}

interface Ticking {
  readonly host: Host;
  readonly wakes: number[];
  readonly parkedAtWake: boolean[];
  idle: boolean;
  activity: number;
}

/** A clock over the host, with a task that wants to be woken every so often. */
function ticking(host = new Host(), everyUs = 10 * MS): Ticking {
  const state: Ticking = { host, wakes: [], parkedAtWake: [], idle: true, activity: 0 };
  const clock = new ParkedClock(host.timerClock, host, () => state.idle, () => state.activity);
  const wake = () => {
    state.wakes.push(host.time);
    state.parkedAtWake.push(host.parked);
    clock.wakeAt(host.time + everyUs, wake);
  };
  clock.wakeAt(host.time, wake);
  return state;
}

/** Lets the runtime turn until `predicate` holds. */
function runUntil(host: Host, predicate: () => boolean): void {
  for (let i = 0; i < 1_000 && !predicate(); i++) host.runTimer();
}

Deno.test("when all is quiet, wake-ups come while parked, each at its time", () => {
  const { host, wakes, parkedAtWake } = ticking();
  runUntil(host, () => parkedAtWake.filter(Boolean).length >= 20);
  const gaps = wakes.slice(1).map((at, i) => at - wakes[i]!);
  assertEquals(gaps.every((gap) => gap === 10 * MS), true, gaps.join());
});

Deno.test("the runtime gets a turn at least every two seconds", () => {
  const { host } = ticking();
  let turns = 0;
  for (const end = host.time + 20 * S; host.time < end; turns++) host.runTimer();
  assertGreaterOrEqual(turns, 10);
});

Deno.test("parks are short at first, for what the runtime had not begun when they started", () => {
  const { host, parkedAtWake } = ticking();
  runUntil(host, () => parkedAtWake.includes(true)); // the first, of 20 ms
  const ends = [host.time];
  for (let i = 0; i < 5; i++) {
    host.runTimer();
    ends.push(host.time);
  }
  const parks = ends.slice(1).map((at, i) => (at - ends[i]!) / MS);
  assertEquals(parks, [160, 1_280, 2_000, 2_000, 2_000]);
});

Deno.test("packets that arrive while parked are handed over at once", () => {
  const { host, parkedAtWake } = ticking();
  runUntil(host, () => parkedAtWake.includes(true));
  const handled: number[] = [];
  host.onArrival = () => handled.push(host.time);
  const expected = [3, 5, 12].map((ms) => host.time + ms * MS);
  host.arrivals = [...expected];
  runUntil(host, () => host.arrivals.length === 0);
  assertEquals(handled, expected);
});

Deno.test("what the runtime has to do ends the park, and for 100 ms none begins", () => {
  const { host, wakes, parkedAtWake } = ticking();
  runUntil(host, () => parkedAtWake.at(-1) === true);
  const at = host.time + 15 * MS;
  host.runtimeWork = [at];
  runUntil(host, () => host.log.includes("runtime"));
  host.runtimeWork = [];
  assertEquals([host.time, host.parked], [at, false]);
  const before = wakes.length;
  runUntil(host, () => parkedAtWake.slice(before).includes(true));
  const unparked = wakes.slice(before).filter((_, i) => !parkedAtWake[before + i]);
  assertGreaterOrEqual(unparked.at(-1)! - at, 90 * MS);
});

Deno.test("after what the runtime had to do, parking does not wait for the next wake-up", () => {
  const { host } = ticking(new Host(), 600 * MS);
  for (let i = 0; i < 3; i++) host.runTimer();
  const at = host.time + 100 * MS;
  host.runtimeWork = [at];
  runUntil(host, () => host.log.includes("runtime"));
  host.runtimeWork = [];
  const handled: number[] = [];
  host.onArrival = () => handled.push(host.time);
  const expected = [110, 120].map((ms) => at + ms * MS);
  host.arrivals = [...expected];
  runUntil(host, () => host.arrivals.length === 0);
  assertEquals(handled, expected);
});

Deno.test("nobody parks while an answer is under way, or something was started in the turn", () => {
  const state = ticking();
  state.idle = false;
  for (let i = 0; i < 50; i++) state.host.runTimer();
  assertEquals([state.wakes.length, state.parkedAtWake.includes(true)], [50, false]);
  state.idle = true;
  runUntil(state.host, () => state.parkedAtWake.at(-1) === true);
  assertEquals(state.parkedAtWake.at(-1), true);
  state.activity++;
  const before = state.wakes.length;
  for (let i = 0; i < 2; i++) state.host.runTimer();
  assertEquals(state.parkedAtWake.slice(before + 1, before + 2), [false]);
});

Deno.test("where parking is impossible the runtime's timer does it all", () => {
  const host = new Host();
  host.parkable = false;
  const { wakes, parkedAtWake } = ticking(host);
  for (let i = 0; i < 100; i++) host.runTimer();
  assertEquals([wakes.length, parkedAtWake.includes(true)], [100, false]);
});
