import { assert, assertEquals } from "@std/assert";
import type { RouteFilter } from "../../../src/kernel/kernel.ts";
import { Dump } from "../../../src/kernel/route_dump.ts";
import { readInto } from "../../../src/kernel/rtnetlink.ts";
import { type Attribute, join, linkBody, message, name, routeBody, u32 } from "./netlink_bytes.ts";

const NEWROUTE = 24, NEWLINK = 16, ERROR = 2, DONE = 3;
const SEQUENCE = 7;
const INTERRUPTED = 0x12;

const attributes: Attribute[] = [[1, "10.1.0.1"], [5, "10.9.0.2"], [4, 3]];
const done = message(DONE, u32(0));

function route(parts: Parameters<typeof routeBody>[0] = {}, options: { seq?: number } = {}) {
  return message(NEWROUTE, routeBody(parts, attributes), options);
}

/** What a dump has come to after these parts. */
function dump(filter: RouteFilter, ...parts: Uint8Array[]): Dump {
  const dump = new Dump(SEQUENCE, filter);
  for (const part of parts) readInto(dump, part);
  return dump;
}

function tables(dump: Dump): number[] {
  const { outcome } = dump;
  assert(outcome !== null && outcome !== "disturbed" && outcome.ok);
  return Array.from(outcome.routes, ({ table }) => table);
}

Deno.test("the routes of all parts are listed, in order, once the end has come", () => {
  const parts = [join(route(), route({ table: 100 })), route({ table: 101 })];
  assertEquals(dump({}, ...parts).outcome, null);
  assertEquals(tables(dump({}, ...parts, done)), [254, 100, 101]);
});

Deno.test("what the kernel did not filter out is left out all the same", () => {
  const table = [15, 4294967295] satisfies Attribute;
  const far = message(NEWROUTE, routeBody({}, [...attributes, table]));
  const parts = [route(), route({ protocol: 3 }), far, route({ table: 100 }), done];
  assertEquals(tables(dump({ protocol: 186 }, ...parts)), [254, 4294967295, 100]);
  assertEquals(tables(dump({ table: 4294967295 }, ...parts)), [4294967295]);
  assertEquals(tables(dump({ protocol: 0 }, ...parts)), []);
});

Deno.test("blackholes, other kinds of messages and answers to others are no part of a list", () => {
  const parts = [
    route({ type: 6 }),
    message(NEWLINK, linkBody({}, [[3, name("tun0")]])),
    route({ table: 100 }, { seq: SEQUENCE + 1 }),
    message(DONE, u32(0), { seq: SEQUENCE + 1 }),
    message(ERROR, join(u32(0), new Uint8Array(16))),
    route({ family: 10 }),
    message(99, u32(0)),
    done,
    route({ table: 101 }),
  ];
  const listed = dump({}, join(...parts));
  assertEquals([tables(listed), listed.ignored, listed.unreadable], [[], 1, 1]);
});

Deno.test("a list that a change disturbed is not taken for a whole one", () => {
  const marked = message(NEWROUTE, routeBody({}, attributes), { flags: INTERRUPTED });
  assertEquals(dump({}, marked, route(), done).outcome, "disturbed");
  assertEquals(
    dump({}, route(), message(DONE, u32(0), { flags: INTERRUPTED })).outcome,
    "disturbed",
  );
});

Deno.test("a table that does not exist has no routes", () => {
  assertEquals(tables(dump({}, message(ERROR, join(u32(-2), new Uint8Array(16))))), []);
});

Deno.test({
  name: "a dump that fails says why",
  sanitizeResources: false, // libnl, which has the words, stays loaded.
  fn() {
    for (
      const [end, code, number] of [
        [message(DONE, u32(-12)), "busy", 12],
        [message(ERROR, join(u32(-1), new Uint8Array(16))), "permission", 1],
      ] as const
    ) {
      const { outcome } = dump({}, route(), end);
      assert(outcome !== null && outcome !== "disturbed" && !outcome.ok);
      assertEquals([outcome.error.code, outcome.error.errno], [code, number]);
    }
  },
});
