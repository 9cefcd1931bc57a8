import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Column, renderTable } from "../../../src/cli/table.ts";

interface Row {
  readonly name: string;
  readonly count: number;
  readonly why: string;
}

const columns: Column<Row>[] = [
  { title: "NAME", cell: (row) => row.name },
  { title: "COUNT", cell: (row) => String(row.count), dropOrder: 1 },
  { title: "WHY", cell: (row) => row.why, shrinkTo: 10 },
];
const rows: Row[] = [
  { name: "short", count: 7, why: "a reason of some length" },
  { name: "longer-name", count: 12_345, why: "" },
];

Deno.test("without a width the table is as wide as it must be, and nothing is cut", () => {
  assertEquals(
    renderTable(columns, rows, null),
    "NAME         COUNT  WHY\n" +
      "short        7      a reason of some length\n" +
      "longer-name  12345\n",
  );
});

Deno.test("when room is short, long texts are cut before columns go", () => {
  assertEquals(
    renderTable(columns, rows, 32),
    "NAME         COUNT  WHY\n" +
      "short        7      a reason of…\n" +
      "longer-name  12345\n",
  );
  assertEquals(
    renderTable(columns, rows, 28),
    "NAME         WHY\n" +
      "short        a reason of so…\n" +
      "longer-name\n",
  );
});

Deno.test("no line is wider than the terminal, whatever is in the cells", () => {
  const text = fc.string({ unit: "grapheme-composite", maxLength: 40 });
  const row = fc.record({ name: text, count: fc.nat(), why: text });
  fc.assert(fc.property(fc.array(row), fc.integer({ min: 20, max: 120 }), (rows, width) => {
    const lines = renderTable(columns, rows, width).slice(0, -1).split("\n");
    assertEquals(lines.length, rows.length + 1);
    for (const line of lines) assert([...line].length <= width, `${[...line].length} > ${width}`);
  }));
});

Deno.test("colour does not move the columns, and what is in a cell cannot add any", () => {
  const paint = (text: string) => `\x1b[31m${text}\x1b[39m`;
  const painted: Column<Row>[] = [{ ...columns[0]!, paint }, columns[1]!];
  const evil = [{ name: "a\x1b[2J\nb", count: 1, why: "" }];
  assertEquals(
    renderTable(painted, evil, 80),
    "NAME           COUNT\n\x1b[31ma\\x1b[2J\\x0ab\x1b[39m  1\n",
  );
});

Deno.test("30,000 rows are a matter of a moment", () => {
  const many = Array.from({ length: 30_000 }, (_, i) => ({ ...rows[0]!, count: i }));
  const table = renderTable(columns, many, 80);
  assertEquals(table.split("\n").length, 30_002);
});
