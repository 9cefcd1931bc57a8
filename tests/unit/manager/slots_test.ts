import { assertEquals } from "@std/assert";
import type { Slot } from "../../../src/kernel/route.ts";
import { Slots } from "../../../src/manager/slots.ts";

function slot(table: number, dst: number, prefixLength: number): Slot {
  return { table: table | 0, dst: dst | 0, prefixLength };
}

Deno.test("things are kept apart by table, address and prefix length, whatever the numbers", () => {
  const all = [254, 1, 2147483648, 4294967295].flatMap((table) =>
    [0, 0x0a000000, 0x80000000, 0xff000000].flatMap((dst) =>
      [0, 8, 24, 32].map((length) => slot(table, dst, length))
    )
  );
  const slots = new Slots<number>();
  all.forEach((each, index) => slots.set(each, index));
  assertEquals(all.map((each) => slots.get(each)), all.map((_, index) => index));
  assertEquals(slots.get(slot(254, 0, 16)), undefined);
  assertEquals(slots.get(slot(253, 0, 0)), undefined);
  slots.delete(all[5]!);
  slots.delete(slot(9, 9, 9));
  assertEquals(all.filter((each) => slots.get(each) === undefined), [all[5]!]);
  slots.set(all[5]!, -1);
  assertEquals(slots.get(all[5]!), -1);
});
