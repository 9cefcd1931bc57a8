import { assertEquals } from "@std/assert";
import { formatAddress, hasHostBits, parseAddress, parsePrefix } from "../../../src/kernel/ipv4.ts";

Deno.test("addresses go to numbers and back", () => {
  for (const text of ["0.0.0.0", "10.1.0.1", "127.0.0.1", "255.255.255.255", "100.20.3.40"]) {
    const address = parseAddress(text);
    assertEquals(address === null ? null : formatAddress(address), text);
  }
  assertEquals(parseAddress("10.1.0.1"), 0x0a010001);
  assertEquals(parseAddress("255.0.0.0"), 0xff000000);
});

Deno.test("what is no canonical dotted quad is no address", () => {
  const wrong = ["", ".", "1", "1.2.3", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4.5", "1.2.3.256"];
  wrong.push(
    "01.2.3.4",
    "1.2.3.00",
    "1.2.3.4 ",
    "1.2.3.a",
    "1.2.3.-4",
    "1,2,3,4",
    "::1",
    "1/2.3.4",
  );
  wrong.push("1.2.3.99999999999999999999");
  for (const text of wrong) assertEquals(parseAddress(text), null, text);
});

Deno.test("prefixes are read with their length and without host bits", () => {
  assertEquals(parsePrefix("10.1.0.0/16"), { address: 0x0a010000, length: 16 });
  assertEquals(parsePrefix("0.0.0.0/0"), { address: 0, length: 0 });
  assertEquals(parsePrefix("255.255.255.255/32"), { address: 0xffffffff, length: 32 });
  const wrong = ["10.1.0.0", "10.1.0.0/", "10.1.0.0/33", "10.1.0.0/8", "0.0.0.1/0", "10.1.0/16"];
  wrong.push("10.1.0.0/016", "10.1.0.0/-1", "10.1.0.0/1e1", "10.1.0.0/16/16", "/16");
  for (const text of wrong) assertEquals(parsePrefix(text), null, text);
});

Deno.test("host bits are those below the length", () => {
  assertEquals([hasHostBits(0x80000000, 0), hasHostBits(0, 0)], [true, false]);
  assertEquals([hasHostBits(0x80000000, 1), hasHostBits(0x40000000, 1)], [false, true]);
  assertEquals([hasHostBits(1, 31), hasHostBits(1, 32)], [true, false]);
});
