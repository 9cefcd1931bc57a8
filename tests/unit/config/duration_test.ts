import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DURATION_PATTERN, formatDuration, parseDuration } from "../../../src/config/duration.ts";

function us(text: string): number {
  const result = parseDuration(text);
  assert(result.ok, text);
  return result.us;
}

Deno.test("durations are read as Go reads them, exactly", () => {
  assertEquals(us("300ms"), 300_000);
  assertEquals(us("1.5s"), 1_500_000);
  assertEquals(us("1m30s"), 90_000_000);
  assertEquals(us("1h2m3.000004s"), 3_723_000_004);
  assertEquals(us("1.1ms"), 1_100);
  assertEquals(us(".5s"), 500_000);
  assertEquals(us("1.s"), 1_000_000);
  assertEquals(us("+2s"), 2_000_000);
  assertEquals(us("7us"), 7);
  assertEquals(us("7µs"), 7);
  assertEquals(us("7\u03bcs"), 7);
  assertEquals(us("3000ns"), 3);
  assertEquals(us("500ns500ns"), 1);
});

Deno.test("zero needs no unit", () => {
  for (const text of ["0", "+0", "0s", "0ms", "0.0h"]) assertEquals(us(text), 0);
});

Deno.test("what is no duration is refused with the reason", () => {
  const reasons: Record<string, string> = {
    "-1s": "cannot be negative",
    "-0.5s": "cannot be negative",
    "5": "needs a unit: ms, s, m or h",
    "1.5": "needs a unit: ms, s, m or h",
    "": "is not numbers with units: us, ms, s, m or h",
    "s": "is not numbers with units: us, ms, s, m or h",
    ".s": "is not numbers with units: us, ms, s, m or h",
    "1 s": "is not numbers with units: us, ms, s, m or h",
    "1d": "is not numbers with units: us, ms, s, m or h",
    "1S": "is not numbers with units: us, ms, s, m or h",
    "1s5": "is not numbers with units: us, ms, s, m or h",
    "--1s": "cannot be negative",
    "1ns": "is finer than a microsecond",
    "1.0000001s": "is finer than a microsecond",
    "9999999h": "is longer than 285 years",
    [`${"1".repeat(64)}s`]: "is longer than 64 characters",
  };
  for (const [text, reason] of Object.entries(reasons)) {
    assertEquals(parseDuration(text), { ok: false, reason }, text);
  }
});

Deno.test("durations are written briefly", () => {
  assertEquals(
    [0, 7, 1_500, 300_000, 1_000_000, 1_500_000, 60_000_000, 90_000_000, 3_600_000_000].map(
      formatDuration,
    ),
    ["0s", "7us", "1.5ms", "300ms", "1s", "1.5s", "1m", "1m30s", "1h"],
  );
});

Deno.test("every number of microseconds survives writing and reading", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (n) => {
    const text = formatDuration(n);
    assertEquals(us(text), n);
    assert(new RegExp(DURATION_PATTERN).test(text));
  }));
});

Deno.test("reading any text gives whole microseconds of 0 or more, or a reason", () => {
  const like = fc.string({ unit: fc.constantFrom(..."0123456789.+-nuµmsh "), maxLength: 70 });
  let read = 0;
  fc.assert(
    fc.property(fc.oneof(fc.string(), like), (text) => {
      const result = parseDuration(text);
      if (!result.ok) return assert(result.reason.length > 0);
      read += 1;
      assert(Number.isSafeInteger(result.us) && result.us >= 0);
      assert(new RegExp(DURATION_PATTERN).test(text));
    }),
    { numRuns: 3_000, seed: 1 },
  );
  assert(read > 0, "the texts were near enough to be read at times");
});
