import { assert, assertEquals, assertThrows } from "@std/assert";
import { Loop, STALL_US } from "../../../src/scheduler/loop.ts";
import { TimerWheel } from "../../../src/scheduler/timer_wheel.ts";
import { FakeClock, FakeDrained } from "./fakes.ts";

class Bench {
  readonly clock = new FakeClock();
  readonly wheel = new TimerWheel(this.clock.now());
  readonly transport = new FakeDrained();
  readonly lags: number[] = [];
  readonly stalls: number[] = [];
  readonly loop: Loop;

  constructor(maxEvents = 1_000) {
    const { clock, wheel, transport, lags } = this;
    this.loop = new Loop({
      clock,
      wheel,
      transport,
      maxEvents,
      lag: { observe: (seconds) => lags.push(seconds) },
      stalled: (lateUs) => this.stalls.push(lateUs),
    });
  }

  /** Arms a timer `after` µs from now that does something when it is due. */
  timer(after: number, due: (now: number) => void): void {
    const id = this.wheel.add({ due: (_timer, now) => due(now) });
    this.wheel.arm(id, this.clock.now() + after);
  }

  /** Datagrams arrive at a steady rate, each waking the loop while it waits for them. */
  traffic(perSecond: number, seconds: number): void {
    const gap = 1e6 / perSecond;
    for (let i = 0; i < perSecond * seconds; i++) {
      this.transport.received++;
      if (this.loop.mode === "wakeup") this.loop.arrived();
      this.clock.advance(gap);
    }
  }
}

Deno.test("a turn reads, then delivers due timers, then sends", () => {
  const { clock, loop, transport, ...bench } = new Bench();
  const wheel = bench.wheel;
  const id = wheel.add({ due: () => void transport.calls.push("due") });
  wheel.arm(id, clock.now() + 5_000);
  loop.start();
  clock.advance(0);
  transport.calls.length = 0;
  clock.advance(5_000);
  assertEquals(transport.calls, ["drain", "due", "flush"]);
});

Deno.test("time that reading took counts for the timers of the same turn", () => {
  const bench = new Bench();
  const seen: number[] = [];
  bench.timer(10_000, (now) => seen.push(now));
  bench.loop.start();
  bench.clock.advance(0);
  bench.transport.onDrain = () => bench.clock.stall(20_000);
  bench.loop.arrived();
  assertEquals(seen, [1_020_000]);
  assertEquals(bench.loop.now, 1_020_000);
});

Deno.test("while more may be waiting to be read nobody is judged, but timers are delivered", () => {
  const bench = new Bench();
  const judged: boolean[] = [];
  bench.loop.start();
  for (const answer of [false, true]) {
    bench.timer(1_000, () => judged.push(bench.loop.mayJudge()));
    bench.transport.answers = [answer];
    bench.clock.stall(1_000);
    bench.loop.arrived();
  }
  assertEquals(judged, [false, true]);
  assertEquals(bench.loop.eventsPostponed, 0, "waiting for the rest is no bound that was hit");
});

Deno.test("one turn judges max_events at most, counts who has to wait, and sends all the same", () => {
  const bench = new Bench(3);
  const judged: boolean[] = [];
  const sent: number[] = [];
  for (let i = 0; i < 5; i++) bench.timer(1_000, () => judged.push(bench.loop.mayJudge()));
  for (let i = 0; i < 4; i++) bench.timer(1_000, (now) => sent.push(now));
  bench.loop.start();
  bench.clock.advance(1_000);
  assertEquals(judged.filter((may) => may).length, 3);
  assertEquals([judged.length, bench.loop.eventsPostponed, sent.length], [5, 2, 4]);
  assertEquals(bench.transport.calls.at(-1), "flush");
});

Deno.test("the bound counts anew in each turn", () => {
  const bench = new Bench(1);
  const judged: boolean[] = [];
  for (const after of [5_000, 9_000]) {
    bench.timer(after, () => judged.push(bench.loop.mayJudge()));
  }
  bench.loop.start();
  bench.clock.advance(10_000);
  assertEquals([judged, bench.loop.eventsPostponed], [[true, true], 0]);
});

Deno.test("an idle loop sleeps until the next deadline", () => {
  const bench = new Bench();
  bench.timer(2_000_000, () => {});
  bench.loop.start();
  bench.clock.advance(0);
  assertEquals([bench.loop.turns, bench.clock.wakesAt], [1, 3_000_000]);
  bench.clock.advance(1_999_999);
  assertEquals(bench.loop.turns, 1);
});

Deno.test("with no timer at all an idle loop is not woken", () => {
  const bench = new Bench();
  bench.loop.start();
  bench.clock.advance(3_600_000_000);
  assertEquals([bench.loop.turns, bench.clock.wakesAt], [1, Infinity]);
});

Deno.test("timers close together share turns a millisecond apart", () => {
  const bench = new Bench();
  let fired = 0;
  for (let i = 1; i <= 1_000; i++) bench.timer(i * 10, () => fired++);
  bench.loop.start();
  bench.clock.advance(11_000);
  assertEquals(fired, 1_000);
  assert(bench.loop.turns <= 12, `${bench.loop.turns} turns in 11 ms`);
});

Deno.test("a timer armed from outside fires in time when the loop is told", () => {
  const bench = new Bench();
  bench.timer(2_000_000, () => {});
  bench.loop.start();
  bench.clock.advance(500_000);
  const fired: number[] = [];
  bench.timer(3_000, (now) => fired.push(now));
  bench.loop.wake();
  bench.clock.advance(10_000);
  assertEquals(fired, [1_503_000]);
});

Deno.test("a loop that was not started, or was stopped, makes no turn whoever asks", () => {
  const bench = new Bench();
  bench.timer(1_000, () => assert(false, "nobody may be told"));
  bench.loop.wake();
  bench.loop.arrived();
  assertEquals(bench.clock.wakesAt, Infinity);
  bench.clock.advance(5_000);
  assertEquals([bench.loop.turns, bench.clock.wakesAt], [0, Infinity]);
  const stopped = new Bench();
  stopped.loop.start();
  stopped.clock.advance(0);
  assertEquals(stopped.loop.turns, 1);
  stopped.timer(1_000, () => assert(false, "nobody may be told"));
  stopped.loop.wake();
  stopped.loop.stop();
  stopped.loop.wake();
  stopped.loop.arrived();
  stopped.clock.advance(5_000);
  assertEquals([stopped.loop.turns, stopped.clock.wakesAt], [1, Infinity]);
});

Deno.test("a loop that is stopped in a turn completes it and makes no other", () => {
  const bench = new Bench();
  bench.timer(1_000, () => bench.loop.stop());
  bench.timer(50_000, () => assert(false, "the loop goes on"));
  bench.loop.start();
  bench.clock.advance(1_000);
  assertEquals([bench.transport.calls.at(-1), bench.clock.wakesAt], ["flush", Infinity]);
  bench.clock.advance(100_000);
});

Deno.test("what asks for a turn within a turn does not start another inside it", () => {
  const bench = new Bench();
  bench.transport.onDrain = () => {
    bench.loop.arrived();
    bench.loop.wake();
  };
  bench.loop.start();
  bench.clock.advance(0);
  assertEquals(bench.transport.calls, ["drain", "flush"]);
});

Deno.test("much traffic makes the loop tick every 5 ms, little makes it wait for packets again", () => {
  const bench = new Bench();
  bench.loop.start();
  bench.clock.advance(0);
  bench.traffic(2_000, 1);
  assertEquals(bench.loop.mode, "tick");
  assertEquals(bench.transport.calls.filter((call) => call.startsWith("wake")), [
    "wakeOnArrival false",
  ]);
  const before = bench.loop.turns;
  bench.traffic(2_000, 1);
  assert(Math.abs(bench.loop.turns - before - 200) <= 1, `${bench.loop.turns - before} turns`);
  bench.traffic(100, 1);
  assertEquals(bench.loop.mode, "wakeup");
  assertEquals(
    bench.transport.calls.filter((call) => call.startsWith("wake")).at(-1),
    "wakeOnArrival true",
  );
});

Deno.test("traffic between the two thresholds leaves the mode as it is, whichever that is", () => {
  const bench = new Bench();
  bench.loop.start();
  bench.traffic(750, 2);
  assertEquals(bench.loop.mode, "wakeup");
  bench.traffic(2_000, 1);
  bench.traffic(750, 2);
  assertEquals(bench.loop.mode, "tick");
  assertEquals(bench.transport.calls.filter((call) => call.startsWith("wake")).length, 1);
});

Deno.test("each timed turn tells how late it was", () => {
  const bench = new Bench();
  bench.timer(10_000, () => {});
  bench.loop.start();
  bench.clock.advance(0);
  bench.clock.stall(30_000);
  bench.clock.advance(0);
  assertEquals(bench.lags, [0, 0.02]);
  assertEquals([bench.stalls, bench.loop.lastStallAt], [[], -Infinity]);
});

Deno.test("a turn that comes more than 100 ms late is a stall, noted before anybody is judged", () => {
  const bench = new Bench();
  const seen: number[] = [];
  bench.timer(10_000, () => seen.push(bench.loop.lastStallUs));
  bench.loop.start();
  bench.clock.advance(0);
  bench.clock.stall(10_000 + STALL_US + 1);
  bench.clock.advance(0);
  assertEquals([bench.stalls, seen], [[STALL_US + 1], [STALL_US + 1]]);
  assertEquals(bench.loop.lastStallAt, bench.clock.now());
});

Deno.test("a stall is noted also when a datagram starts the turn before the overdue timer does", () => {
  const bench = new Bench();
  bench.timer(10_000, () => {});
  bench.loop.start();
  bench.clock.advance(0);
  bench.clock.stall(10_000 + STALL_US + 1);
  bench.loop.arrived();
  assertEquals(bench.stalls, [STALL_US + 1]);
  bench.loop.arrived();
  assertEquals(bench.stalls.length, 1);
});

Deno.test("a stall is noted also when somebody asks for a turn before the overdue timer comes", () => {
  const bench = new Bench();
  bench.timer(10_000, () => {});
  bench.loop.start();
  bench.clock.advance(0);
  bench.clock.stall(10_000 + STALL_US + 1);
  bench.loop.wake();
  bench.clock.advance(0);
  assertEquals(bench.stalls, [STALL_US + 1]);
});

Deno.test("between turns the loop's time is refreshed on demand; within one it stands still", () => {
  const bench = new Bench();
  bench.loop.start();
  bench.clock.advance(0);
  bench.clock.stall(400_000);
  bench.loop.refresh();
  assertEquals(bench.loop.now, 1_400_000);
  let seen = 0;
  bench.transport.onDrain = () => {
    bench.clock.stall(1_000);
    bench.loop.refresh();
    seen = bench.loop.now;
  };
  bench.loop.arrived();
  assertEquals(seen, 1_400_000);
});

Deno.test("a defect in one handler costs neither the others nor the turns that follow", () => {
  const bench = new Bench();
  const fired: string[] = [];
  for (const name of ["a", "b", "c"]) {
    bench.timer(5_000, () => {
      fired.push(name);
      if (fired.length === 1) throw new Error("a defect");
    });
  }
  bench.loop.start();
  bench.clock.advance(0);
  assertThrows(() => bench.clock.advance(5_000), Error, "a defect");
  bench.clock.advance(2_000);
  assertEquals(fired.toSorted(), ["a", "b", "c"]);
  bench.transport.onDrain = () => {
    bench.transport.onDrain = () => {};
    throw new Error("another");
  };
  assertThrows(() => bench.loop.arrived(), Error, "another");
  const { turns } = bench.loop;
  bench.loop.arrived();
  assertEquals(bench.loop.turns, turns + 1);
});
