import { assert, assertEquals, assertRejects } from "@std/assert";
import { Loop } from "../../../src/scheduler/loop.ts";
import { SLICE, Slices } from "../../../src/scheduler/slices.ts";
import { TimerWheel } from "../../../src/scheduler/timer_wheel.ts";
import { FakeClock, FakeDrained } from "./fakes.ts";

function bench() {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock.now());
  const transport = new FakeDrained();
  const loop = new Loop({ clock, wheel, transport, maxEvents: 10, lag: { observe() {} } });
  loop.start();
  clock.advance(0);
  return { clock, loop, wheel, slices: new Slices({ clock, wheel, loop }) };
}

Deno.test("a few items are handled before the call returns", async () => {
  const { slices, wheel } = bench();
  const seen: number[] = [];
  const done = slices.run([1, 2, 3], (item) => seen.push(item));
  assertEquals(seen, [1, 2, 3]);
  await done;
  assertEquals(wheel.armed, 0);
});

Deno.test("the loop turns between two slices of many items, and their order stays", async () => {
  const { slices, clock, loop, wheel } = bench();
  const items = Array.from({ length: 3 * SLICE + 1 }, (_, i) => i);
  const seen: number[] = [];
  let done = false;
  const finished = slices.run(items, (item) => seen.push(item)).then(() => done = true);
  assertEquals(seen.length, SLICE);
  const { turns } = loop;
  for (let i = 0; i < 100 && seen.length < items.length; i++) clock.advance(1_000);
  assertEquals(seen, items);
  assert(loop.turns - turns >= 3, `${loop.turns - turns} turns`);
  await finished;
  assertEquals([done, wheel.armed], [true, 0]);
});

Deno.test("what a handler throws ends the work and is told to who asked", async () => {
  const { slices, wheel } = bench();
  const done = slices.run([1], () => {
    throw new Error("a defect");
  });
  await assertRejects(() => done, Error, "a defect");
  assertEquals(wheel.armed, 0);
});
