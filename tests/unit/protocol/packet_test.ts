import { assertEquals } from "@std/assert";
import {
  ControlPacket,
  decode,
  encode,
  FLAG_PASSIVE,
  PACKET_BYTES,
  State,
} from "../../../src/protocol/packet.ts";
import { packVersion } from "../../../src/protocol/version.ts";
import { packet } from "./support.ts";

/** A valid datagram, `length` bytes long, with `changes` by byte. */
function datagram(changes: Record<number, number> = {}, length = PACKET_BYTES): DataView {
  const bytes = new Uint8Array(64).fill(0xee);
  encode(packet(State.Up), new DataView(bytes.buffer), 0);
  for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value;
  return new DataView(bytes.buffer, 0, length);
}

function read(bytes: DataView): ReturnType<typeof decode> {
  return decode(bytes, 0, bytes.byteLength, new ControlPacket());
}

Deno.test("a packet is forty bytes, big endian, every reserved bit zero", () => {
  const bytes = new Uint8Array(48).fill(0xff);
  const written = Object.assign(new ControlPacket(), {
    state: State.Init,
    detectMult: 3,
    localDiscr: 0x01020304,
    peerDiscr: 0xfffefdfc,
    desiredMinTxUs: 300_000,
    requiredMinRxUs: 1_000_000,
    flags: FLAG_PASSIVE,
    clientVersion: packVersion(255, 2, 3, 4),
  });
  encode(written, new DataView(bytes.buffer), 4);
  // deno-fmt-ignore
  assertEquals([...bytes], [
    255, 255, 255, 255,
    0x20, 0x80, 3, 40, 1, 2, 3, 4, 255, 254, 253, 252,
    0, 0x04, 0x93, 0xe0, 0, 0x0f, 0x42, 0x40, 1, 255, 2, 3, 4,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 255, 255, 255,
  ]);
});

Deno.test("what is written is what is read", () => {
  for (const state of [State.AdminDown, State.Down, State.Init, State.Up]) {
    const written = packet(state, { localDiscr: 0xffff_ffff, peerDiscr: 0x8000_0000, flags: 0xff });
    const bytes = new DataView(new ArrayBuffer(64));
    encode(written, bytes, 7);
    const heard = new ControlPacket();
    assertEquals(decode(bytes, 7, PACKET_BYTES, heard), null);
    assertEquals(heard, written);
  }
});

for (
  const [refusal, bytes] of [
    ["short", datagram({}, 39)],
    ["short", datagram({ 3: 24, 0: 0, 2: 0 }, 24)],
    ["bad_len", datagram({ 3: 24 })],
    ["bad_len", datagram({ 3: 41, 0: 0, 2: 0 })],
    ["bad_version", datagram({ 0: 0x40 })],
    ["bad_version", datagram({ 0: 0, 2: 0 })],
    ["bad_detect_mult", datagram({ 2: 0 })],
  ] as const
) {
  Deno.test(`a datagram of ${bytes.byteLength} bytes is refused as ${refusal}, the first that fits`, () => {
    const left = packet(State.Init);
    assertEquals(decode(bytes, 0, bytes.byteLength, left), refusal);
    assertEquals(left, packet(State.Init), "a refused datagram leaves the packet as it was");
  });
}

Deno.test("reserved bits, whatever they say, and a tail are ignored", () => {
  assertEquals(read(datagram({ 0: 0x3f, 1: 0xff, 25: 9, 39: 9 })), null);
  assertEquals(read(datagram({}, 64)), null);
});

Deno.test("the version field is the top three bits", () => {
  for (let version = 0; version < 8; version++) {
    const refusal = version === 1 ? null : "bad_version";
    assertEquals(read(datagram({ 0: version << 5 })), refusal);
  }
});
