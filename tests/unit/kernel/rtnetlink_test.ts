import { assert, assertEquals } from "@std/assert";
import { readMessages } from "../../../src/kernel/rtnetlink.ts";
import { type Attribute, attribute, join, message, routeBody, u32 } from "./netlink_bytes.ts";

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

const DST = 1, OIF = 4, GATEWAY = 5, PRIORITY = 6, PREFSRC = 7, METRICS = 8;
const MULTIPATH = 9, TABLE = 15, VIA = 18, ENCAP = 22, NH_ID = 30;

const plain: Attribute[] = [[DST, "10.1.0.1"], [GATEWAY, "10.9.0.2"], [OIF, 3]];
const header = { seq: 7, port: 4711, interrupted: false };
const routeRead = {
  table: 254,
  dst: "10.1.0.1/32",
  via: "10.9.0.2",
  src: null,
  ifindex: 3,
  protocol: 186,
  metric: 0,
};

function readRoute(parts: Parameters<typeof routeBody>[0], attributes: readonly Attribute[]) {
  return readMessages(message(RTM_NEWROUTE, routeBody(parts, attributes)));
}

function counts(bytes: Uint8Array) {
  const { messages, ignored, unreadable } = readMessages(bytes);
  return [messages.length, ignored, unreadable];
}

Deno.test("a route is read with all that livenessd knows of one", () => {
  const attributes: Attribute[] = [
    [TABLE, 44880],
    ...plain,
    [PREFSRC, "10.9.0.1"],
    [PRIORITY, 4294967295],
    [METRICS, new Uint8Array(8)],
    [77, new Uint8Array(5)],
  ];
  assertEquals(readRoute({ table: 80 }, attributes), {
    messages: [{
      kind: "route",
      ...header,
      change: "new",
      unicast: true,
      replaced: false,
      route: { ...routeRead, table: 44880, src: "10.9.0.1", metric: 4294967295 },
    }],
    ignored: 0,
    unreadable: 0,
  });
});

Deno.test("a deletion, a default route and a table in the header alone are read", () => {
  const gone = message(RTM_DELROUTE, routeBody({ prefixLength: 0, table: 100 }, plain.slice(1)));
  assertEquals(readMessages(gone).messages, [{
    kind: "route",
    ...header,
    change: "deleted",
    unicast: true,
    replaced: false,
    route: { ...routeRead, table: 100, dst: "0.0.0.0/0" },
  }]);
});

Deno.test("a next hop that is more than one IPv4 gateway is null, never guessed", () => {
  const dst: Attribute = [DST, "10.1.0.1"];
  const nexthops: Attribute[] = [
    [MULTIPATH, new Uint8Array(16)],
    [VIA, new Uint8Array(18)],
    [NH_ID, 9],
    [ENCAP, new Uint8Array(4)],
  ];
  for (const nexthop of nexthops) {
    for (const attributes of [[dst, nexthop], [...plain, nexthop], [nexthop, ...plain]]) {
      const [read] = readRoute({}, attributes).messages;
      assertEquals(read.kind === "route" && read.route.via, null, `attribute ${nexthop[0]}`);
    }
  }
  const [onLink] = readRoute({}, [dst, [OIF, 3]]).messages;
  assertEquals(onLink.kind === "route" && onLink.route, { ...routeRead, via: null });
});

Deno.test("routes that are none of ours are ignored, not misread and not called unreadable", () => {
  const others: Parameters<typeof routeBody>[0][] = [
    { family: 10 },
    { family: 28 },
    { flags: 0x200 },
    { table: 255 },
    { tos: 0x10 },
  ];
  for (const parts of others) {
    const { messages, ignored, unreadable } = readRoute(parts, plain);
    assertEquals([messages, ignored, unreadable], [[], 1, 0], JSON.stringify(parts));
  }
});

Deno.test("a blackhole and its kin are read as routes without next hop or source", () => {
  for (const type of [0, 2, 3, 6, 7, 8, 9, 200]) {
    const [read] = readRoute({ type }, [...plain, [PREFSRC, "10.9.0.1"]]).messages;
    assert(read.kind === "route" && !read.unicast, `type ${type}`);
    assertEquals(read.route, { ...routeRead, via: null, src: null });
  }
});

Deno.test("a new route tells whether it took another's place, a deleted one never does", () => {
  for (
    const [type, flags, replaced] of [[24, 0x100, true], [24, 0x600, false], [25, 0x100, false]]
  ) {
    const bytes = message(Number(type), routeBody({}, plain), { flags: Number(flags) });
    const [read] = readMessages(bytes).messages;
    assertEquals(read.kind === "route" && read.replaced, replaced);
  }
});

Deno.test("an attribute of the wrong length, a missing destination or host bits spoil the route", () => {
  const short = new Uint8Array(3);
  for (const type of [DST, OIF, GATEWAY, PRIORITY, PREFSRC, TABLE]) {
    for (const value of [short, new Uint8Array(0), new Uint8Array(16)]) {
      assertEquals(counts(message(24, routeBody({}, [...plain, [type, value]]))), [0, 0, 1]);
    }
  }
  const spoiled = [
    routeBody({}, plain.slice(1)),
    routeBody({ prefixLength: 24 }, plain),
    routeBody({ prefixLength: 33 }, plain),
    routeBody({ table: 0 }, plain),
    join(routeBody({}, plain), attribute([77, 0], 3)),
    join(routeBody({}, plain), attribute([77, 0], 9)),
    join(routeBody({}, plain), new Uint8Array([8, 0])),
    routeBody().subarray(0, 11),
  ];
  for (const body of spoiled) assertEquals(counts(message(24, body)), [0, 0, 1]);
});

Deno.test("flag bits in an attribute's type do not hide it", () => {
  const [read] = readRoute({}, [[DST, "10.1.0.1"], [0x8000 | GATEWAY, "10.9.0.2"], [OIF, 3]])
    .messages;
  assertEquals(read.kind === "route" && read.route, routeRead);
});

Deno.test("acknowledgements and refusals are read, with the kernel's words when it has some", () => {
  const request = message(24, new Uint8Array(12));
  const words = attribute([1, new TextEncoder().encode("Nexthop has invalid gateway\0")]);
  const capped = join(u32(-101), request.subarray(0, 16), words);
  const whole = join(u32(-101), request, attribute([2, 8]), words);
  const datagram = join(
    message(NLMSG_ERROR, join(u32(0), request.subarray(0, 16)), { seq: 1, flags: 0x100 }),
    message(NLMSG_ERROR, capped, { seq: 2, flags: 0x300 }),
    message(NLMSG_ERROR, whole, { seq: 3, flags: 0x200 }),
    message(NLMSG_ERROR, join(u32(-22), request), { seq: 4 }),
  );
  const text = "Nexthop has invalid gateway";
  const common = { kind: "answer", port: 4711, interrupted: false };
  assertEquals<unknown>(readMessages(datagram), {
    messages: [
      { ...common, seq: 1, errno: 0, text: "" },
      { ...common, seq: 2, errno: 101, text },
      { ...common, seq: 3, errno: 101, text },
      { ...common, seq: 4, errno: 22, text: "" },
    ],
    ignored: 0,
    unreadable: 0,
  });
});

Deno.test("an answer whose words cannot be read is an answer without words", () => {
  const request = message(24, new Uint8Array(0));
  const words = (length: number) => attribute([1, new TextEncoder().encode("word")], length);
  const lies = [
    join(u32(-22), request, words(3)),
    join(u32(-22), request, words(60000)),
    join(u32(-22), request, new Uint8Array([8])),
    // The repeated request claims to be longer than all there is, up to 4 GiB.
    ...[400, 0x7fffffff, 0xfffffff0, 0xffffffff].map((length) =>
      join(u32(-22), message(24, new Uint8Array(0), { length }), words(8))
    ),
  ];
  for (const body of lies) {
    const { messages: [read] } = readMessages(message(NLMSG_ERROR, body, { flags: 0x200 }));
    assertEquals<unknown>(read, { kind: "answer", ...header, errno: 22, text: "" });
  }
});

Deno.test("the end of a dump tells whether it failed or was disturbed", () => {
  const words = attribute([1, new TextEncoder().encode("no\0")]);
  const datagram = join(
    message(NLMSG_DONE, u32(0), { flags: 0x12 }),
    message(NLMSG_DONE, join(u32(-12), words), { flags: 0x202 }),
  );
  assertEquals<unknown>(readMessages(datagram).messages, [
    { kind: "done", ...header, interrupted: true, errno: 0, text: "" },
    { kind: "done", ...header, errno: 12, text: "no" },
  ]);
});

Deno.test("messages that are truncated or of unknown type are counted and spare the others", () => {
  const good = message(24, routeBody({}, plain));
  assertEquals(counts(join(message(99, u32(1)), good)), [1, 0, 1]);
  assertEquals(counts(join(message(1, u32(1)), good)), [1, 1, 0]);
  assertEquals(counts(join(good, good.subarray(0, 15))), [1, 0, 1]);
  assertEquals(counts(join(good, good.subarray(0, good.length - 1))), [1, 0, 1]);
  assertEquals(counts(message(NLMSG_ERROR, u32(0))), [0, 0, 1]);
  assertEquals(counts(message(NLMSG_ERROR, join(u32(5), good))), [0, 0, 1]);
  assertEquals(counts(message(NLMSG_DONE, new Uint8Array(3))), [0, 0, 1]);
  for (const length of [0, 15, 17 + 65536, 0xffffffff]) {
    assertEquals(counts(message(24, routeBody({}, plain), { length })), [0, 0, 1]);
  }
  assertEquals(counts(new Uint8Array(0)), [0, 0, 0]);
});

Deno.test("a reader keeps to the bytes that it is given", () => {
  const good = message(24, routeBody({}, plain));
  const surrounded = join(good, good, good);
  const middle = surrounded.subarray(good.length, 2 * good.length);
  assertEquals(readMessages(middle), readMessages(good));
  assertEquals(counts(middle.subarray(0, 30)), [0, 0, 1]);
});
