import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { openLibnl } from "../../../ffi/libnl.ts";
import { REQUEST_SIZE, RequestWriter, type RouteNumbers } from "../../../ffi/netlink.ts";
import { RequestTemplate } from "../../../ffi/request_template.ts";

// Libraries stay open as long as the process: opened here, they are not taken for a test's leak.
openLibnl();

type Verb = "replace" | "delete";
type Request = readonly [verb: Verb, route: RouteNumbers, sequence: number];

const address = fc.oneof(
  fc.constantFrom(0, 1, 0x0a090064, 0x7fffffff, 0x80000000, 0xffffffff),
  fc.integer({ min: 0, max: 0xffffffff }),
);

/** What requests made of one template have in common. */
const shape = fc.record({
  verb: fc.constantFrom<Verb>("replace", "delete"),
  sourced: fc.boolean(),
  table: fc.oneof(fc.constantFrom(1, 255, 256), fc.integer({ min: 1, max: 0xffffffff })),
  prefixLength: fc.integer({ min: 0, max: 32 }),
  ifindex: fc.constantFrom(0, 1, 3, 0x7fffffff),
  protocol: fc.integer({ min: 0, max: 255 }),
  metric: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffffffff })),
});

/** A shape, and others that differ from it in one thing. */
const shapes = fc.tuple(shape, shape).map(([one, other]) => [
  one,
  ...Object.entries(other).map(([part, value]) => ({ ...one, [part]: value })),
]);

/** Requests of few shapes in any order. */
const requests: fc.Arbitrary<Request[]> = shapes
  .chain((shapes) => {
    const one = fc.tuple(fc.constantFrom(...shapes), address, address, address, address);
    return fc.array(
      one.map(([{ verb, sourced, ...common }, dst, via, src, sequence]): Request => {
        const hosts = 2 ** (32 - common.prefixLength);
        const prefix = Math.floor(dst / hosts) * hosts;
        return [verb, { ...common, dst: prefix, via, src: sourced ? src : null }, sequence];
      }),
      { minLength: 20, maxLength: 100 },
    );
  });

/** The request's bytes, in a buffer full of others, where they end up at offset 4. */
function written(writer: RequestWriter, [verb, route, sequence]: Request): Uint8Array {
  const buffer = new Uint8Array(REQUEST_SIZE + 8).fill(0xee);
  const size = writer[`${verb}Route`](route, sequence, buffer, 4);
  assert(size % 4 === 0 && size <= REQUEST_SIZE);
  assert([...buffer.subarray(0, 4), ...buffer.subarray(4 + size)].every((byte) => byte === 0xee));
  return buffer.slice(4, 4 + size);
}

Deno.test("a request made from a template has the bytes that libnl builds", () => {
  let count = 0;
  let built = 0;
  fc.assert(
    fc.property(requests, (all) => {
      const writer = new RequestWriter();
      // A writer that has written nothing yet has every request built.
      for (const each of all) {
        assertEquals(written(writer, each), written(new RequestWriter(), each));
      }
      count += all.length;
      built += writer.built;
    }),
  );
  assert(built < 0.3 * count, `${built} of ${count} were built: templates were hardly used`);
});

const plain: RouteNumbers = {
  table: 254,
  dst: 0x0a320001,
  prefixLength: 32,
  via: 0x0a090064,
  src: 0x0a090001,
  ifindex: 0,
  protocol: 186,
  metric: 0,
};

Deno.test("of requests that differ in addresses only libnl builds the first", () => {
  const writer = new RequestWriter();
  for (let i = 0; i < 100; i++) {
    written(writer, ["replace", { ...plain, dst: plain.dst + i, via: i, src: 2 * i }, i]);
  }
  assertEquals(writer.built, 1);
  written(writer, ["delete", plain, 100]);
  assertEquals(writer.built, 2);
});

Deno.test("more shapes than are remembered are all built right, and the latest are remembered", () => {
  const writer = new RequestWriter();
  for (let round = 0; round < 2; round++) {
    for (let ifindex = 1; ifindex <= 100; ifindex++) {
      const request: Request = ["replace", { ...plain, ifindex }, ifindex];
      assertEquals(written(writer, request), written(new RequestWriter(), request));
    }
  }
  assertEquals(writer.built, 200);
  written(writer, ["replace", { ...plain, ifindex: 100 }, 0]);
  assertEquals(writer.built, 200);
});

Deno.test("what libnl builds leaves no memory behind", () => {
  const writer = new RequestWriter();
  const buffer = new Uint8Array(REQUEST_SIZE);
  const build = (count: number) => {
    const before = writer.built;
    // Each a shape that was forgotten since: it has to be built.
    for (let i = 0; i < count; i++) {
      writer.replaceRoute({ ...plain, ifindex: i % 100 }, i, buffer, 0);
    }
    assertEquals(writer.built, before + count);
    return Deno.memoryUsage().rss / 2 ** 20;
  };
  const before = build(20_000);
  // One leaked message (4 KiB) each would be 390 MiB, a route with its next hop 24, three addresses 9.
  const grown = build(100_000) - before;
  assert(grown < 5, `grew by ${grown} MiB`);
});

Deno.test("a message without an address where it is looked for is no template", () => {
  const built = written(new RequestWriter(), ["replace", plain, 1]);
  assert(RequestTemplate.of("replace", plain, built) !== null);
  for (const parts of [{ dst: 1 }, { via: 1 }, { src: 1 }]) {
    assertEquals(RequestTemplate.of("replace", { ...plain, ...parts }, built), null);
  }
  const sourceless = written(new RequestWriter(), ["replace", { ...plain, src: null }, 1]);
  assertEquals(RequestTemplate.of("replace", plain, sourceless), null);
});
