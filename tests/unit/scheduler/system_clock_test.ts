import { assert, assertEquals } from "@std/assert";
import { SystemClock } from "../../../src/scheduler/system_clock.ts";

// The one place where real time passes: a few milliseconds for each test, and no test judges how late
// the machine was.

/** Resolves with the moment of the wake-up. */
function wakeUp(clock: SystemClock, at: number): Promise<number> {
  return new Promise((resolve) => clock.wakeAt(at, () => resolve(clock.now())));
}

Deno.test("the clock's time is whole microseconds and only grows", () => {
  const clock = new SystemClock();
  let last = clock.now();
  for (let i = 0; i < 1_000; i++) {
    const now = clock.now();
    assert(Number.isInteger(now) && now >= last);
    last = now;
  }
  assert(Math.abs(clock.wall() - Date.now()) < 1_000);
});

Deno.test("the clock wakes once, and not before it was asked to", async () => {
  const clock = new SystemClock();
  const at = clock.now() + 3_500;
  assert(await wakeUp(clock, at) >= at);
});

Deno.test("a moment in the past wakes soon, but never inside the call", async () => {
  const clock = new SystemClock();
  let returned = false;
  const woken = new Promise<boolean>((resolve) => clock.wakeAt(0, () => resolve(returned)));
  returned = true;
  assertEquals(await woken, true);
});

Deno.test("a later wish replaces an earlier one, be it sooner or later", async () => {
  for (const [first, second] of [[2_000, 6_000], [60_000_000, 2_000]] as const) {
    const clock = new SystemClock();
    const start = clock.now();
    clock.wakeAt(start + first, () => assert(false, "the replaced wish came true"));
    assert(await wakeUp(clock, start + second) >= start + second);
  }
});

Deno.test("a disarmed clock wakes nobody and keeps no timer", async () => {
  const clock = new SystemClock();
  clock.wakeAt(clock.now() + 1_000, () => assert(false, "a disarmed clock woke"));
  clock.wakeAt(Infinity, () => assert(false, "infinity came"));
  const other = new SystemClock();
  await wakeUp(other, other.now() + 4_000);
});

Deno.test("a clock may be armed again from its own wake-up", async () => {
  const clock = new SystemClock();
  await wakeUp(clock, clock.now() + 1_000);
  const at = clock.now() + 1_000;
  assert(await wakeUp(clock, at) >= at);
});
