import { assertEquals } from "@std/assert";
import { readMessages } from "../../../src/kernel/rtnetlink.ts";
import {
  addressBody,
  type Attribute,
  attribute,
  join,
  linkBody,
  message,
  name,
  ruleBody,
} from "./netlink_bytes.ts";

const NEWLINK = 16, DELLINK = 17, NEWADDR = 20, DELADDR = 21, NEWRULE = 32, DELRULE = 33;
const ADDRESS = 1, LOCAL = 2, LABEL = 3, IFNAME = 3;
const PRIORITY = 6, FWMARK = 10, SUPPRESS_PREFIXLEN = 14, TABLE = 15, FWMASK = 16, PROTOCOL = 21;

const header = { seq: 7, port: 4711, interrupted: false };
const named: Attribute[] = [[IFNAME, name("tun0")]];
const marked: Attribute[] = [
  [FWMARK, 44880],
  [FWMASK, 0xffffffff],
  [PRIORITY, 90],
  [TABLE, 44880],
  [SUPPRESS_PREFIXLEN, 0xffffffff],
  [PROTOCOL, new Uint8Array([186])],
];

function read(type: number, body: Uint8Array): unknown {
  const { messages, ignored, unreadable } = readMessages(message(type, body));
  if (messages.length === 1 && ignored + unreadable === 0) return messages[0];
  if (messages.length === 0) return ignored === 1 ? "ignored" : "unreadable";
  return { messages, ignored, unreadable };
}

Deno.test("a link is read with its name, index and flags, and whether it is gone", () => {
  const link = { kind: "link", ...header, ifindex: 3, name: "tun0", flags: 0x11043 };
  const attributes: Attribute[] = [[4, 1500], ...named, [18, name("veth")], [77, 1]];
  assertEquals(read(NEWLINK, linkBody({}, attributes)), { ...link, present: true });
  assertEquals(read(DELLINK, linkBody({}, attributes)), { ...link, present: false });
  const longest = "a".repeat(15);
  const long = linkBody({}, [[IFNAME, name(longest)]]);
  assertEquals(read(NEWLINK, long), { ...link, name: longest, present: true });
});

Deno.test("a link that leaves a bridge is not taken for one that is gone", () => {
  assertEquals(read(DELLINK, linkBody({ family: 7 }, named)), "ignored");
  assertEquals(read(NEWLINK, linkBody({ family: 10 }, named)), "ignored");
});

Deno.test("a link without a name, with an endless name or an odd index is unreadable", () => {
  const bodies = [
    linkBody(),
    linkBody({}, [[IFNAME, new Uint8Array(0)]]),
    linkBody({}, [[IFNAME, name("")]]),
    linkBody({}, [[IFNAME, new TextEncoder().encode("tun0")]]),
    linkBody({}, [[IFNAME, name("a\0b")]]),
    linkBody({}, [[IFNAME, name("a".repeat(16))]]),
    linkBody({ index: 0 }, named),
    linkBody({ index: -1 }, named),
    linkBody().subarray(0, 15),
    join(linkBody({}, named), attribute([77, 0], 3)),
    join(linkBody({}, named), attribute([77, 0], 60)),
    join(linkBody({}, named), new Uint8Array([8, 0])),
  ];
  for (const body of bodies) assertEquals(read(NEWLINK, body), "unreadable");
});

Deno.test("an address is the local one, also on a point-to-point link", () => {
  const address = { kind: "address", ...header, ifindex: 3, address: "10.9.0.1" };
  const ethernet: Attribute[] = [[ADDRESS, "10.9.0.1"], [LOCAL, "10.9.0.1"], [LABEL, name("e")]];
  const tunnel: Attribute[] = [[ADDRESS, "10.9.0.2"], [LOCAL, "10.9.0.1"]];
  const plain = { ...address, prefixLength: 24 };
  assertEquals(read(NEWADDR, addressBody({}, ethernet)), { ...plain, present: true });
  assertEquals(read(DELADDR, addressBody({}, tunnel)), { ...plain, present: false });
  assertEquals(read(DELADDR, addressBody({ prefixLength: 32 }, ethernet.slice(0, 1))), {
    ...address,
    prefixLength: 32,
    present: false,
  });
});

Deno.test("an address of another family is ignored, one that is malformed is unreadable", () => {
  const good: Attribute[] = [[LOCAL, "10.9.0.1"]];
  assertEquals(read(NEWADDR, addressBody({ family: 10 }, good)), "ignored");
  const bodies = [
    addressBody(),
    addressBody({ prefixLength: 33 }, good),
    addressBody({ index: 0 }, good),
    addressBody({}, [...good, [ADDRESS, new Uint8Array(16)]]),
    addressBody({}, [[LOCAL, new Uint8Array(3)]]),
    addressBody().subarray(0, 7),
    join(addressBody({}, good), attribute([9, 0], 2)),
  ];
  for (const body of bodies) assertEquals(read(NEWADDR, body), "unreadable");
});

Deno.test("a rule that looks at a mark and nothing else is read", () => {
  const rule = { kind: "rule", ...header, mark: 44880, table: 44880, priority: 90, protocol: 186 };
  assertEquals(read(NEWRULE, ruleBody({}, marked)), { ...rule, present: true });
  assertEquals(read(DELRULE, ruleBody({}, marked)), { ...rule, present: false });
  assertEquals(read(DELRULE, ruleBody({}, [[FWMARK, 7]])), {
    ...rule,
    mark: 7,
    table: 77,
    priority: 0,
    protocol: 0,
    present: false,
  });
});

Deno.test("rules that look at more, or do something else, are ignored", () => {
  const others = [
    ruleBody({ family: 10 }, marked),
    ruleBody({ family: 128 }, marked),
    ruleBody({ dstLength: 8 }, marked),
    ruleBody({ srcLength: 8 }, marked),
    ruleBody({ tos: 16 }, marked),
    ruleBody({ action: 6 }, marked),
    ruleBody({ flags: 2 }, marked),
    ruleBody(),
    ruleBody({}, [[PRIORITY, 90]]),
    ...[
      [FWMASK, 255],
      [SUPPRESS_PREFIXLEN, 0],
      [13, 5],
      [3, name("tun0")],
      [17, name("tun0")],
      [20, new Uint8Array(8)],
      [22, new Uint8Array(1)],
      [99, 1],
    ].map((more) => ruleBody({}, [...marked, more as unknown as Attribute])),
  ];
  for (const [index, body] of others.entries()) {
    assertEquals(read(DELRULE, body), "ignored", `rule ${index}`);
  }
});

Deno.test("a rule with an attribute of the wrong length is unreadable", () => {
  for (const type of [FWMARK, FWMASK, PRIORITY, TABLE, SUPPRESS_PREFIXLEN, 13]) {
    for (const length of [0, 3, 8]) {
      const body = ruleBody({}, [...marked, [type, new Uint8Array(length)]]);
      assertEquals(read(NEWRULE, body), "unreadable", `attribute ${type} of ${length}`);
    }
  }
  assertEquals(read(NEWRULE, ruleBody({}, [...marked, [PROTOCOL, 186]])), "unreadable");
  assertEquals(read(NEWRULE, ruleBody().subarray(0, 11)), "unreadable");
});
