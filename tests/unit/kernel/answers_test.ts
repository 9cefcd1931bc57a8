import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { acknowledgedBy } from "../../../src/kernel/answers.ts";
import { readMessages } from "../../../src/kernel/rtnetlink.ts";
import { attribute, join, message, u32 } from "./netlink_bytes.ts";

/** What is acknowledged by a datagram that lies in the second of two slots. */
function acknowledged(datagram: Uint8Array, size = datagram.length): number {
  const slots = new Uint8Array(256);
  slots.set(datagram, 128);
  return acknowledgedBy(new Uint32Array(slots.buffer), 32, size);
}

const repeated = new Uint8Array(16).fill(7);

Deno.test("a bare acknowledgement is known by its sequence number", () => {
  for (const seq of [0, 1, 0x80000000, 0xffffffff]) {
    assertEquals(acknowledged(message(2, join(u32(0), repeated), { seq, flags: 0x100 })), seq);
  }
});

Deno.test("a refusal, words, another message or a part of one are no bare acknowledgement", () => {
  const bare = message(2, join(u32(0), repeated));
  assertEquals(acknowledged(message(2, join(u32(-3), repeated))), -1);
  assertEquals(acknowledged(message(3, join(u32(0), repeated))), -1);
  assertEquals(acknowledged(join(bare, bare)), -1);
  assertEquals(acknowledged(bare, 32), -1);
  assertEquals(acknowledged(message(2, join(u32(0), repeated), { length: 40 })), -1);
  const words = attribute([1, new Uint8Array([65, 0])]);
  assertEquals(acknowledged(message(2, join(u32(0), repeated, words), { flags: 0x200 })), -1);
});

Deno.test("what is taken for a bare acknowledgement is read as nothing else", () => {
  let bare = 0;
  const word = fc.oneof(fc.constantFrom(0, 2, 3, 36, 0x1000002), fc.nat({ max: 0xffffffff }));
  fc.assert(
    fc.property(fc.array(word, { minLength: 8, maxLength: 10 }), fc.boolean(), (all, shaped) => {
      const words = Uint32Array.from(shaped ? [36, 2, ...all.slice(2)] : all);
      const seq = acknowledgedBy(words, 0, words.byteLength);
      if (seq < 0) return;
      bare++;
      const { messages, ignored, unreadable } = readMessages(new Uint8Array(words.buffer));
      assertEquals([messages.length, ignored, unreadable], [1, 0, 0]);
      const [answer] = messages;
      assert(answer.kind === "answer");
      assertEquals([answer.seq, answer.errno], [seq, 0]);
    }),
    { numRuns: 10_000 },
  );
  assert(bare > 100, `only ${bare} were bare acknowledgements`);
});
