import { assert, assertEquals } from "@std/assert";
import { parseAddress, parsePrefix } from "../../src/kernel/ipv4.ts";
import {
  readMessages,
  type RouteMessage,
  type RtnetlinkMessage,
} from "../../src/kernel/rtnetlink.ts";
import { SeededRandom } from "../simulation/random.ts";
import {
  addressBody,
  attribute,
  join,
  linkBody,
  message,
  name,
  routeBody,
  ruleBody,
  u32,
} from "../unit/kernel/netlink_bytes.ts";

const LONGEST = 256;

/** Real shapes to mutate: each is readable as it stands. */
const seeds = [
  message(
    24,
    routeBody({}, [[15, 254], [1, "10.1.0.1"], [7, "10.9.0.1"], [5, "10.9.0.2"], [4, 3]]),
  ),
  message(25, routeBody({ prefixLength: 16 }, [[1, "10.1.0.0"], [6, 10], [5, "10.9.0.2"]])),
  message(24, routeBody({}, [[1, "10.1.0.1"], [9, new Uint8Array(16)]])),
  message(2, join(u32(-22), message(24, u32(0)), attribute([1, new Uint8Array(9).fill(65)])), {
    flags: 0x200,
  }),
  message(2, join(u32(0), new Uint8Array(16)), { flags: 0x100 }),
  message(3, u32(0), { flags: 2 }),
  message(24, routeBody({ type: 6 }, [[1, "10.1.0.1"]]), { flags: 0x100 }),
  message(16, linkBody({}, [[4, 1500], [3, name("tun0")], [18, name("veth")]])),
  message(21, addressBody({}, [[1, "10.9.0.2"], [2, "10.9.0.1"], [3, name("tun0")]])),
  message(
    33,
    ruleBody({}, [[10, 7], [16, 0xffffffff], [6, 90], [15, 7], [21, u32(186).slice(0, 1)]]),
  ),
];

/** The types of messages that livenessd reads bodies of. */
const types = [2, 3, 16, 17, 20, 21, 24, 25, 32, 33];

/** Checks what every reading must satisfy, whatever the bytes; answers how many messages it had. */
function check(bytes: Uint8Array): number {
  const { messages, ignored, unreadable } = readMessages(bytes);
  // A message takes a header at least, and a remainder too short for one counts once.
  assert(messages.length + ignored + unreadable <= Math.ceil(bytes.length / 16));
  for (const read of messages) checkMessage(read);
  return messages.length;
}

function checkMessage(read: RtnetlinkMessage): void {
  switch (read.kind) {
    case "answer":
    case "done":
      return assert(read.errno >= 0);
    case "link":
      assert(read.name.length > 0 && read.name.length < 16 && !read.name.includes("\0"));
      return assert(read.ifindex > 0);
    case "address":
      assert(parseAddress(read.address) !== null && read.ifindex > 0);
      return assert(read.prefixLength >= 0 && read.prefixLength <= 32);
    case "rule":
      assert(read.mark > 0 && read.table >= 0 && read.priority >= 0);
      return assert(read.protocol >= 0 && read.protocol <= 255);
    case "route":
      return checkRoute(read);
  }
}

function checkRoute({ route, unicast }: RouteMessage): void {
  const { table, dst, via, src, ifindex, protocol, metric } = route;
  assert(unicast || via === null && src === null);
  assert(table > 0 && table <= 0xffffffff && table !== 255);
  assert(parsePrefix(dst) !== null, dst);
  assert(via === null || parseAddress(via) !== null, `${via}`);
  assert(src === null || parseAddress(src) !== null, `${src}`);
  assert(ifindex >= 0 && protocol >= 0 && protocol <= 255 && metric >= 0);
}

Deno.test("1,200,000 random and mutated datagrams are read without an exception or nonsense", () => {
  const random = new SeededRandom(1, "rtnetlink fuzz");
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  // Views into a larger buffer of other messages: reading beyond the end would find something.
  const room = new Uint8Array(LONGEST + 64);
  let read = 0;
  for (let i = 0; i < 1_200_000; i++) {
    const seed = seeds[i % seeds.length];
    let size = seed.length;
    if (i % 3 === 0) {
      size = below(LONGEST);
      for (let at = 0; at < size; at++) room[at] = below(256);
      // A plausible header gets half of the noise past the first check.
      if (i % 2 === 0 && size >= 16) room.set([size & 255, 0, 0, 0, types[below(types.length)], 0]);
    } else {
      room.set(seed);
      for (let mutations = below(4); mutations > 0; mutations--) mutate(room, size, below);
      if (below(8) === 0) size = below(size);
    }
    read += check(room.subarray(0, size));
  }
  assertEquals(seeds.map(check), seeds.map(() => 1));
  assert(read > 200_000, `only ${read} messages were readable: the mutations are too wild`);
});

function mutate(bytes: Uint8Array, size: number, below: (limit: number) => number): void {
  const at = below(size);
  const edge = [0, 1, 3, 4, 7, 8, 127, 128, 254, 255];
  if (below(2) === 0) bytes[at] = edge[below(edge.length)];
  else bytes[at] ^= 1 << below(8);
}
