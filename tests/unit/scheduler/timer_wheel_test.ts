import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type TimerId, type TimerOwner, TimerWheel } from "../../../src/scheduler/timer_wheel.ts";

class Recorder implements TimerOwner {
  readonly fired: [TimerId, number][] = [];
  due(timer: TimerId, now: number): void {
    this.fired.push([timer, now]);
  }
}

Deno.test("a timer fires at its deadline and not a microsecond before", () => {
  const wheel = new TimerWheel(0);
  const owner = new Recorder();
  const timer = wheel.add(owner);
  wheel.arm(timer, 300_500);
  wheel.advance(300_499);
  assertEquals(owner.fired, []);
  assertEquals(wheel.nextDeadline(), 300_500);
  wheel.advance(300_500);
  assertEquals(owner.fired, [[timer, 300_500]]);
  assertEquals(wheel.armed, 0);
});

Deno.test("the next few timers within reach are offered and stay armed; far ones are not", () => {
  const wheel = new TimerWheel(0);
  const offered: number[] = [];
  const owner = { due: () => {}, dueSoon: (timer: TimerId) => offered.push(timer) };
  const timers = Array.from({ length: 12 }, () => wheel.add(owner));
  for (const [i, timer] of timers.entries()) wheel.arm(timer, 1_000 * (i + 1));
  wheel.advance(1_000);
  wheel.offer(3_500);
  assertEquals(offered, timers.slice(1, 4));
  offered.length = 0;
  wheel.offer(100_000);
  assertEquals([offered, wheel.armed], [timers.slice(1, 9), 11]);
});

Deno.test("a delay counts from the present that the wheel was told, a deadline in it is moved", () => {
  const wheel = new TimerWheel(5_000);
  const timer = wheel.add(new Recorder());
  wheel.armIn(timer, 2_500);
  assertEquals(wheel.deadline(timer), 7_500);
  wheel.advance(7_000);
  wheel.armIn(timer, 2_500);
  assertEquals([wheel.deadline(timer), wheel.armed], [9_500, 1]);
  wheel.now = 8_000;
  wheel.armIn(timer, 500);
  assertEquals([wheel.deadline(timer), wheel.armed], [8_500, 1]);
});

Deno.test("a timer further away than the wheel's span waits for its own turn", () => {
  const wheel = new TimerWheel(0);
  const owner = new Recorder();
  const timer = wheel.add(owner);
  wheel.arm(timer, 60_000_000);
  let wakeups = 0;
  for (let now = 0; owner.fired.length === 0; now = wheel.nextDeadline()) {
    wheel.advance(now);
    wakeups++;
  }
  assertEquals(owner.fired, [[timer, 60_000_000]]);
  assertEquals(wakeups < 20, true, `${wakeups} wake-ups for one timer`);
});

Deno.test("a loop that comes back after a long absence finds every due timer at once", () => {
  const wheel = new TimerWheel(0);
  const owner = new Recorder();
  for (let i = 0; i < 1_000; i++) wheel.arm(wheel.add(owner), i * 10_000);
  wheel.advance(100_000_000);
  assertEquals(owner.fired.length, 1_000);
});

Deno.test("an owner may cancel or move another timer that is due in the same turn", () => {
  const wheel = new TimerWheel(0);
  const fired: TimerId[] = [];
  const owner: TimerOwner = {
    due(timer) {
      fired.push(timer);
      wheel.cancel(b);
      wheel.arm(c, 9_000);
    },
  };
  const c = wheel.add(owner);
  const b = wheel.add(owner);
  const a = wheel.add(owner);
  for (const timer of [c, b, a]) wheel.arm(timer, 5_000);
  wheel.advance(6_000);
  assertEquals(fired, [a]);
  assertEquals([wheel.isArmed(b), wheel.isArmed(c)], [false, true]);
});

Deno.test("a timer armed in the past is due at the next turn", () => {
  const wheel = new TimerWheel(50_000_000);
  const owner = new Recorder();
  const timer = wheel.add(owner);
  wheel.arm(timer, 3);
  assertEquals(wheel.nextDeadline() <= 50_000_000, true);
  wheel.advance(50_000_000);
  assertEquals(owner.fired.length, 1);
});

Deno.test("the wheel agrees with a sorted list whatever is armed, moved, cancelled and advanced", () => {
  const command = fc.oneof(
    fc.record({ do: fc.constant("arm"), timer: fc.nat(40), after: fc.nat(20_000_000) }),
    fc.record({ do: fc.constant("cancel"), timer: fc.nat(40), after: fc.nat(0) }),
    fc.record({ do: fc.constant("advance"), timer: fc.nat(0), after: fc.nat(9_000_000) }),
    fc.record({ do: fc.constant("sleep"), timer: fc.nat(0), after: fc.nat(0) }),
  );
  fc.assert(fc.property(fc.array(command, { maxLength: 200 }), (commands) => {
    // A year of uptime: beyond 32 bits in microseconds and in slots.
    let now = 31_536_000_123_456;
    const wheel = new TimerWheel(now);
    const owner = new Recorder();
    const timers = Array.from({ length: 41 }, () => wheel.add(owner));
    const model = new Map<TimerId, number>();
    for (const { do: action, timer, after } of commands) {
      if (action === "arm") {
        wheel.arm(timers[timer]!, now + after);
        model.set(timers[timer]!, now + after);
      } else if (action === "cancel") {
        wheel.cancel(timers[timer]!);
        model.delete(timers[timer]!);
      } else {
        const next = wheel.nextDeadline();
        const earliest = Math.min(Infinity, ...model.values());
        if (next > earliest) throw new Error(`would oversleep ${earliest} until ${next}`);
        now = action === "sleep" ? Math.max(now, Math.min(next, now + 9e6)) : now + after;
        owner.fired.length = 0;
        wheel.advance(now);
        const expected = [...model].filter(([, at]) => at <= now).map(([id]) => id).sort();
        for (const id of expected) model.delete(id);
        assertEquals(owner.fired.map(([id]) => id).sort(), expected);
      }
      assertEquals(wheel.armed, model.size);
    }
  }));
});
