import { assertEquals } from "@std/assert";
import { Loop } from "../../../src/scheduler/loop.ts";
import { Periodic } from "../../../src/scheduler/periodic.ts";
import { TimerWheel } from "../../../src/scheduler/timer_wheel.ts";
import { FakeClock, FakeDrained } from "./fakes.ts";

function bench() {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock.now());
  const loop = new Loop({
    clock,
    wheel,
    transport: new FakeDrained(),
    maxEvents: 1,
    lag: { observe: () => {} },
  });
  return { clock, wheel, loop };
}

Deno.test("a periodic task runs each interval until it is stopped, and again when restarted", () => {
  const { clock, wheel, loop } = bench();
  const ran: number[] = [];
  const periodic = new Periodic(wheel, loop, 1_000_000, () => ran.push(clock.now() / 1e6));
  clock.advance(5_000_000);
  assertEquals(wheel.armed, 0, "it waits to be started");
  loop.start();
  clock.advance(0);
  periodic.start();
  loop.wake();
  clock.advance(3_500_000);
  assertEquals(ran, [7, 8, 9]);
  periodic.stop();
  clock.advance(5_000_000);
  assertEquals([ran.length, wheel.armed], [3, 0]);
  loop.wake();
  clock.advance(0);
  periodic.start();
  loop.wake();
  clock.advance(1_000_000);
  assertEquals(ran.length, 4);
});

Deno.test("a periodic task that was missed during a stall runs once, not once for each time", () => {
  const { clock, wheel, loop } = bench();
  let ran = 0;
  const periodic = new Periodic(wheel, loop, 1_000_000, () => ran++);
  periodic.start();
  loop.start();
  clock.advance(0);
  clock.stall(10_500_000);
  clock.advance(0);
  assertEquals(ran, 1);
  clock.advance(1_000_000);
  assertEquals(ran, 2);
});

Deno.test("a task that throws is due again all the same", () => {
  const { clock, wheel, loop } = bench();
  let ran = 0;
  const periodic = new Periodic(wheel, loop, 1_000, () => {
    ran++;
    throw new Error("the task failed");
  });
  periodic.start();
  for (let i = 0; i < 3; i++) {
    clock.stall(1_000);
    try {
      wheel.advance(clock.now());
    } catch {
      // Whoever turns the loop deals with it.
    }
  }
  assertEquals(ran, 3);
});

Deno.test("a task of a long interval goes along with a turn shortly before it is due", () => {
  const { clock, wheel, loop } = bench();
  const ran: string[] = [];
  for (const [name, us] of [["long", 1_000_000], ["short", 100_000]] as const) {
    new Periodic(wheel, loop, us, () => ran.push(`${name} ${clock.now() / 1e6}`)).start();
  }
  loop.start();
  clock.advance(0);
  assertEquals(ran, []);
  clock.advance(800_000);
  ran.length = 0;
  clock.advance(60_000);
  loop.wake();
  clock.advance(0);
  assertEquals(ran, ["long 1.86"]);
});
