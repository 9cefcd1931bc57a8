import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Scrape } from "../../../bench/client.ts";
import { guard } from "../../../bench/guard.ts";
import type { Outcome } from "../../../bench/results.ts";
import { median } from "../../../bench/stats.ts";
import { barChart } from "../../../bench/svg.ts";

function outcome(ratios: Record<string, number>): Outcome {
  const table = { head: [], rows: [] };
  return { ratios, figures: {}, verdicts: [], table, pictures: [] };
}

Deno.test("a ratio more than 15 % worse than the committed one fails and is named", () => {
  const baseline = outcome({ steady: 1, worse: 1, better: 1, gone: 1 });
  const found = guard(outcome({ steady: 1.15, worse: 1.16, better: 0.5, new: 9 }), baseline);
  assertEquals(found.map(({ ok }) => ok), [true, false, true]);
  assertStringIncludes(found[1]!.what, "worse");
  assertEquals(found[1]!.found, "1.16");
});

Deno.test("without a committed result nothing is guarded", () => {
  assertEquals(guard(outcome({ any: 1 }), undefined), []);
});

Deno.test("the median is the middle value, or the mean of the two in the middle", () => {
  assertEquals([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
});

Deno.test("a scrape sums the series that carry all the labels asked for", () => {
  const scrape = new Scrape(
    [
      "# TYPE a counter",
      'a{from="up",to="down"} 2',
      'a{from="up",to="init"} 3',
      'a{from="down",to="up"} 5',
      'h_bucket{le="0.01"} 7',
      "h_count 8",
      "",
    ].join("\n"),
  );
  assertEquals([scrape.sum("a", 'from="up"'), scrape.sum("a"), scrape.sum("b", "x")], [5, 10, 0]);
  assertEquals(scrape.within("h", 0.01), { count: 8, within: 7 });
});

Deno.test("a chart draws a bar for each value, in proportion, and escapes its labels", () => {
  const bars = [{ label: "livenessd", value: 50 }, { label: "a & b", value: 100 }];
  const svg = barChart({ title: "CPU", unit: "ms", bars });
  const widths = [...svg.matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width)
  );
  assertEquals(widths.length, 2);
  assert(Math.abs(widths[1]! / widths[0]! - 2) < 0.01, `${widths}`);
  assertStringIncludes(svg, "a &amp; b");
});
