import { assert, assertEquals } from "@std/assert";
import { backedOff, clampInterval, jittered } from "../../../src/protocol/timing.ts";

const bounds = { minTxFloorUs: 50_000, maxTxCeilUs: 3_000_000, backoffMaxUs: 60_000_000 };

Deno.test("an interval is kept within floor and ceiling, both included", () => {
  const given = [0, 49_999, 50_000, 50_001, 2_999_999, 3_000_000, 3_000_001, 0xffff_ffff];
  assertEquals(given.map((us) => clampInterval(us, bounds)), [
    50_000,
    50_000,
    50_000,
    50_001,
    2_999_999,
    3_000_000,
    3_000_000,
    3_000_000,
  ]);
});

Deno.test("a backed-off interval grows with the factor up to the cap", () => {
  assertEquals([1, 2, 32, 64].map((factor) => backedOff(1_000_000, factor, bounds)), [
    1_000_000,
    2_000_000,
    32_000_000,
    60_000_000,
  ]);
});

Deno.test("jitter spreads evenly from 8 % less to 8 % more, in whole microseconds", () => {
  assertEquals([0, 0.25, 0.5].map((fraction) => jittered(300_000, fraction)), [
    276_000,
    288_000,
    300_000,
  ]);
  assert(jittered(300_000, 1 - Number.EPSILON) <= 324_000);
  assert(Number.isInteger(jittered(333_333, 0.123)));
});
