import { assertEquals, assertStringIncludes } from "@std/assert";
import type { RouteConfig } from "../../../src/config/config.ts";
import { State } from "../../../src/protocol/packet.ts";
import { addressKey } from "../../../src/transport/address.ts";
import { Bench, type BenchOptions, MAIN, route } from "./fixture.ts";

const STANDING = route(1);
const STANDING_TEXT = "10.1.0.1/32 via 10.0.0.2 dev tun0 src 10.0.0.1 table 254";

const REFUSALS: readonly [string, RouteConfig, code: string, message: string][] = [
  ["the same route again", route(1), "duplicate", `${STANDING_TEXT} is already wanted`],
  [
    "the same route with another probe and no_uninstall",
    route(1, { probe: "10.1.0.77", noUninstall: true }),
    "duplicate",
    `${STANDING_TEXT} is already wanted`,
  ],
  ...[{ via: "10.0.0.3" }, { dev: "tun1" }, { src: "10.0.0.9" }].map((changes) =>
    [
      `another route to the same destination: ${JSON.stringify(changes)}`,
      route(1, { probe: "10.1.0.77", ...changes }),
      "conflict",
      `table 254 can hold one route to 10.1.0.1/32, and ${STANDING_TEXT} is wanted already`,
    ] as [string, RouteConfig, string, string]
  ),
  [
    "the same peer by another next hop",
    route(2, { probe: "10.1.0.1", via: "10.0.0.3" }),
    "conflict",
    "10.1.0.1 is already probed through dev tun0 via 10.0.0.2; it cannot be probed via 10.0.0.3 " +
    "as well: choose another probe address",
  ],
  [
    "the same peer by another next hop from another source",
    route(2, { probe: "10.1.0.1", via: "10.0.0.3", src: "10.0.0.9" }),
    "conflict",
    "10.1.0.1 is already probed through dev tun0 via 10.0.0.2; it cannot be probed via 10.0.0.3 " +
    "as well: choose another probe address",
  ],
  [
    "a probe of ourselves",
    route(2, { probe: "10.0.0.1" }),
    "invalid",
    "probe 10.0.0.1 is the session's own src; it must be another host",
  ],
];

for (const [what, config, code, message] of REFUSALS) {
  Deno.test(`${what} is refused as ${code}, in words, and what stands is not touched`, async () => {
    const bench = await Bench.up({}, STANDING);
    assertEquals(bench.manager.register(config, "api"), { ok: false, code, message } as never);
    await bench.settle();
    const { table, dst, via, dev, src } = config;
    assertEquals(bench.told("route_refused"), [
      { kind: "route_refused", route: { table, dst, via, dev, src }, reason: code, message },
    ]);
    assertEquals(bench.manager.counts().routesRefused, 1);
    assertEquals([bench.manager.book.size, bench.manager.table.size], [1, 1]);
    assertEquals(bench.shown(STANDING).installed, true);
  });
}

Deno.test("a source that liveness.bind does not allow is refused by both names", () => {
  const bench = new Bench({ liveness: { bind: "10.0.0.7" } });
  const outcome = bench.manager.register(route(1), "api");
  assertEquals(outcome, {
    ok: false,
    code: "invalid",
    message: "src 10.0.0.1 is not the address that liveness.bind allows: 10.0.0.7",
  });
  assertEquals(bench.manager.register(route(1, { src: "10.0.0.7" }), "api"), { ok: true });
});

const ACCEPTED: readonly [string, RouteConfig][] = [
  ["the same destination in another table", route(1, { table: 100 })],
  ["a longer prefix of the same address", route(1, { dst: "10.1.0.0/24" })],
  [
    "the same peer through another interface by another next hop",
    route(2, {
      probe: "10.1.0.1",
      dev: "tun1",
      via: "10.0.1.2",
    }),
  ],
  [
    "the same peer from another source by the same next hop",
    route(2, {
      probe: "10.1.0.1",
      src: "10.0.0.9",
    }),
  ],
];

for (const [what, config] of ACCEPTED) {
  Deno.test(`${what} is another route`, async () => {
    const bench = await Bench.started({}, STANDING);
    assertEquals(bench.manager.register(config, "api"), { ok: true });
    assertEquals([bench.manager.book.size, bench.manager.refused], [2, 0]);
  });
}

Deno.test("a withdrawal must name the very route, and says which is not wanted", async () => {
  const bench = await Bench.up({}, STANDING);
  for (const changes of [{ via: "10.0.0.3" }, { dev: "x" }, { src: "1.1.1.1" }, { table: 9 }]) {
    const outcome = await bench.manager.withdraw(route(1, changes));
    assertEquals(outcome.ok ? "" : outcome.code, "not_found");
    assertStringIncludes(outcome.ok ? "" : outcome.message, "no wanted route 10.1.0.1/32 via ");
  }
  assertEquals([bench.manager.book.size, bench.holds(STANDING)], [1, true]);
});

Deno.test("an administrative command for no session says so", async () => {
  const bench = await Bench.up({}, STANDING);
  const key = { dev: "tun0", src: "10.0.0.1", peer: "10.1.0.9" };
  assertEquals(bench.manager.setAdmin(key, "down"), {
    ok: false,
    code: "not_found",
    message: "no session dev tun0 src 10.0.0.1 peer 10.1.0.9",
  });
  assertEquals(bench.shown(STANDING).installed, true);
});

Deno.test("a new session sends its first packet within 100 ms, without waiting for anything", async () => {
  const bench = await Bench.started({}, STANDING);
  assertEquals(bench.transport.sent, []);
  await bench.advance(100_000);
  assertEquals(bench.transport.sent.map(({ at, peer }) => [at, peer]), [
    [5_050_000, addressKey("10.1.0.1")],
  ]);
  assertEquals(bench.sent(STANDING)[0]!.state, State.Down);
});

Deno.test("routes registered before the start are served after it", async () => {
  const options: BenchOptions = { mode: "passive" };
  const bench = new Bench(options);
  bench.register(STANDING);
  await bench.advance(200_000);
  assertEquals(bench.transport.sent.length, 0);
  await bench.manager.start();
  await bench.advance(100_000);
  assertEquals(bench.sent(STANDING).length >= 1, true);
});

Deno.test("what is wanted is shown with its origin, and why it is not installed", async () => {
  const bench = await Bench.started({}, STANDING);
  assertEquals(bench.manager.register(route(2), "api").ok, true);
  assertEquals([...bench.manager.routes()].map(({ dst, origin }) => [dst, origin]), [
    ["10.1.0.1/32", "config"],
    ["10.1.0.2/32", "api"],
  ]);
  const { table, desired, installed, session_state, reason } = bench.shown(STANDING);
  assertEquals([table, desired, installed, session_state, reason], [
    MAIN,
    false,
    false,
    "down",
    "session: never_up",
  ] as never);
});
