import { assert, assertEquals } from "@std/assert";
import { ControlPacket, decode, encode, PACKET_BYTES } from "../../src/protocol/packet.ts";
import { SeededRandom } from "../simulation/random.ts";

/** Room around the datagram, filled with a pattern that nobody may change. */
const GUARD = 24;
const LONGEST = 128;
const PATTERN = 0xa5;

/** The outcome for a datagram, worked out from the specification's table and not from the decoder. */
function judge(datagram: Uint8Array): string {
  if (datagram.length < 40) return "short";
  if (datagram[3] !== 40) return "bad_len";
  if (datagram[0]! >> 5 !== 1) return "bad_version";
  if (datagram[2] === 0) return "bad_detect_mult";
  return "accepted";
}

/** What re-encoding an accepted datagram must yield: its first 40 bytes with reserved bits cleared. */
function canonical(datagram: Uint8Array): Uint8Array {
  const bytes = datagram.slice(0, 40);
  bytes[0]! &= 0xe0;
  bytes[1]! &= 0xc0;
  bytes.fill(0, 25);
  return bytes;
}

function number(bytes: Uint8Array, at: number): number {
  return bytes[at]! * 2 ** 24 + bytes[at + 1]! * 2 ** 16 + bytes[at + 2]! * 2 ** 8 + bytes[at + 3]!;
}

/** Runs datagrams through decoder and encoder and counts the outcomes. */
class Bench {
  readonly outcomes: Record<string, number> = {};
  readonly #room = new Uint8Array(GUARD + LONGEST + GUARD).fill(PATTERN);
  readonly #view = new DataView(this.#room.buffer);
  readonly #out = new Uint8Array(GUARD + PACKET_BYTES + GUARD).fill(PATTERN);
  readonly #outView = new DataView(this.#out.buffer);
  readonly #packet = new ControlPacket();

  try(datagram: Uint8Array): void {
    this.#room.set(datagram, GUARD);
    const packet = this.#packet;
    packet.localDiscr = 77;
    packet.requiredMinRxUs = 78;
    const expected = judge(datagram);
    const outcome = decode(this.#view, GUARD, datagram.length, packet) ?? "accepted";
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
    if (outcome !== expected) this.#fail(datagram, `was ${outcome}, should be ${expected}`);
    if (outcome === "accepted") this.#compare(datagram);
    else if (packet.localDiscr !== 77 || packet.requiredMinRxUs !== 78) {
      this.#fail(datagram, "was refused and yet changed the packet");
    }
    this.#room.fill(PATTERN, GUARD, GUARD + datagram.length);
  }

  #compare(datagram: Uint8Array): void {
    const packet = this.#packet;
    const same = packet.state === datagram[1]! >> 6 && packet.detectMult === datagram[2] &&
      packet.localDiscr === number(datagram, 4) && packet.peerDiscr === number(datagram, 8) &&
      packet.desiredMinTxUs === number(datagram, 12) &&
      packet.requiredMinRxUs === number(datagram, 16) &&
      packet.passive === ((datagram[20]! & 1) === 1) &&
      packet.clientVersion >>> 0 === number(datagram, 21);
    if (!same) this.#fail(datagram, `was read as ${JSON.stringify(packet)}`);
    encode(packet, this.#outView, GUARD);
    const expected = canonical(datagram);
    for (let i = 0; i < this.#out.length; i++) {
      const inside = i >= GUARD && i < GUARD + PACKET_BYTES;
      const byte = inside ? expected[i - GUARD] : PATTERN;
      if (this.#out[i] !== byte) this.#fail(datagram, `encodes to ${hex(this.#out)}`);
    }
  }

  #fail(datagram: Uint8Array, what: string): never {
    throw new Error(`datagram ${hex(datagram)} ${what}`);
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A datagram as a well-behaved peer sends it. */
function wellFormed(random: SeededRandom, into: Uint8Array): void {
  for (let i = 0; i < PACKET_BYTES; i++) into[i] = i < 25 ? random.between(0, 255) : 0;
  into[0] = 0x20;
  into[1] = random.between(0, 3) << 6;
  into[2] = random.between(1, 255);
  into[3] = PACKET_BYTES;
  into[20] = random.between(0, 1);
}

const MUTATIONS: readonly ((random: SeededRandom, datagram: Uint8Array) => Uint8Array)[] = [
  (random, datagram) => {
    datagram[random.between(0, 39)]! ^= 1 << random.between(0, 7);
    return datagram.subarray(0, PACKET_BYTES);
  },
  (random, datagram) => {
    datagram[random.between(0, 3)] = random.pick([0, 1, 24, 39, 40, 41, 48, 127, 128, 255]);
    return datagram.subarray(0, PACKET_BYTES);
  },
  (random, datagram) => datagram.subarray(0, random.between(0, PACKET_BYTES)),
  (random, datagram) => {
    const length = random.between(PACKET_BYTES, LONGEST);
    for (let i = PACKET_BYTES; i < length; i++) datagram[i] = random.between(0, 255);
    return datagram.subarray(0, length);
  },
  (random, datagram) => {
    for (let i = random.between(1, 8); i > 0; i--) {
      datagram[random.between(0, 39)] = random.between(0, 255);
    }
    return datagram.subarray(0, PACKET_BYTES);
  },
];

const KINDS = ["short", "bad_len", "bad_version", "bad_detect_mult", "accepted"];

/** Every outcome must have been met, or the run proved less than it seems to. */
function assertAllMet(outcomes: Record<string, number>, atLeast: number): void {
  for (const kind of KINDS) {
    assert((outcomes[kind] ?? 0) >= atLeast, `${kind} was met ${outcomes[kind] ?? 0} times`);
  }
}

Deno.test("a million mutated datagrams are accepted or refused exactly as the table says", () => {
  const random = new SeededRandom(1, "mutated datagrams");
  const bench = new Bench();
  const datagram = new Uint8Array(LONGEST);
  for (let i = 0; i < 1_000_000; i++) {
    wellFormed(random, datagram);
    bench.try(MUTATIONS[i % MUTATIONS.length]!(random, datagram));
  }
  assertEquals(Object.values(bench.outcomes).reduce((sum, n) => sum + n), 1_000_000);
  assertAllMet(bench.outcomes, 1000);
});

Deno.test("datagrams of random bytes and random length are accepted or refused as the table says", () => {
  const random = new SeededRandom(2, "random datagrams");
  const bench = new Bench();
  const datagram = new Uint8Array(LONGEST);
  for (let i = 0; i < 300_000; i++) {
    const length = random.between(0, LONGEST);
    for (let at = 0; at < length; at++) datagram[at] = random.between(0, 255);
    // Random bytes alone would almost never reach past the first two refusals.
    if (i % 2 === 0) datagram[3] = PACKET_BYTES;
    if (i % 4 === 0) datagram[0] = 0x20 | random.between(0, 31);
    bench.try(datagram.subarray(0, length));
  }
  assertAllMet(bench.outcomes, 100);
});

Deno.test("each byte of a control packet set to each value is accepted or refused as the table says", () => {
  const random = new SeededRandom(3, "exhaustive datagrams");
  const bench = new Bench();
  const datagram = new Uint8Array(LONGEST);
  for (let at = 0; at < PACKET_BYTES; at++) {
    for (let value = 0; value < 256; value++) {
      wellFormed(random, datagram);
      datagram[at] = value;
      bench.try(datagram.subarray(0, PACKET_BYTES));
    }
  }
  assertEquals(bench.outcomes, {
    bad_version: 224,
    bad_detect_mult: 1,
    bad_len: 255,
    accepted: 40 * 256 - 224 - 1 - 255,
  });
});

Deno.test("every length from 0 to 39 is short and every length from 40 on is accepted", () => {
  const random = new SeededRandom(4, "lengths");
  const bench = new Bench();
  const datagram = new Uint8Array(LONGEST);
  for (let length = 0; length <= LONGEST; length++) {
    wellFormed(random, datagram);
    bench.try(datagram.subarray(0, length));
  }
  assertEquals(bench.outcomes, { short: 40, accepted: LONGEST - 39 });
});
