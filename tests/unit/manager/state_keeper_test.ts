import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { type FormerRun, readRun, writeRun } from "../../../src/manager/former_run.ts";
import type { StateStore, StateText } from "../../../src/manager/state_keeper.ts";
import { MachineState } from "../../simulation/state.ts";
import { Bench, route } from "./fixture.ts";

const HERE = { boot: "a", netns: "1" };

const address = fc.tuple(...new Array(4).fill(fc.integer({ min: 0, max: 255 }))).map((parts) =>
  parts.join(".")
);
const uint = (least: number) => fc.integer({ min: least, max: 0xffff_ffff });
const dev = fc.string({ minLength: 1, maxLength: 15 });
const session = fc.record({
  dev,
  src: address,
  peer: address,
  discriminator: uint(1),
  interval_us: uint(1),
  passive: fc.boolean(),
});
const formerRoute = fc.record({
  table: uint(1),
  dst: fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([a, length]) => `${a}/${length}`),
  via: address,
  dev,
  src: address,
});
const former = fc.record({
  protocol: fc.integer({ min: 1, max: 255 }),
  ended: fc.boolean(),
  sessions: fc.array(session, { maxLength: 300 }),
  routes: fc.array(formerRoute, { maxLength: 300 }),
});

function textOf(run: FormerRun): string {
  return [...writeRun({ ...HERE, ...run }, run.sessions, run.routes)].join("");
}

Deno.test("what is written is read again, and nothing of it anywhere else", () => {
  fc.assert(
    fc.property(former, (run) => {
      const text = textOf(run);
      assertEquals(readRun(text, HERE), { ok: true, run });
      assertEquals(readRun(text, { ...HERE, boot: "b" }).ok, false);
      assertEquals(readRun(text, { ...HERE, netns: "2" }).ok, false);
    }),
    { numRuns: 50 },
  );
});

Deno.test("a text that was cut or whose bytes were changed is refused or means what it says", () => {
  fc.assert(
    fc.property(former, fc.nat(), fc.string({ maxLength: 3 }), (run, at, inserted) => {
      const text = textOf(run);
      const place = at % (text.length - 1); // The last one is a line's end.
      const cut = readRun(text.slice(0, place), HERE);
      assertEquals(cut.ok, false);
      const changed = readRun(text.slice(0, place) + inserted + text.slice(place + 1), HERE);
      if (!changed.ok) return assert(changed.reason.length > 0);
      for (const { dst, via, src, table } of changed.run.routes) {
        assert(/^[\d.]+\/\d+$/.test(dst) && /^[\d.]+$/.test(via) && /^[\d.]+$/.test(src));
        assert(table >= 1);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("anything else that is JSON is refused with a reason", () => {
  for (const value of [null, 1, "x", [], {}, { livenessd: 1 }, { livenessd: 2, ...HERE }]) {
    const result = readRun(JSON.stringify(value), HERE);
    assert(!result.ok && result.reason !== "");
  }
  const valid = JSON.parse(textOf({ protocol: 186, ended: false, sessions: [], routes: [] }));
  const good = { table: 254, dst: "10.0.0.0/8", via: "10.0.0.1", dev: "tun0", src: "10.0.0.2" };
  const check = (one: unknown) => readRun(JSON.stringify({ ...valid, routes: [one] }), HERE).ok;
  assertEquals(check(good), true);
  const wrong = [
    { table: 0 },
    { table: 1.5 },
    { dst: "10.0.0.0" },
    { dst: "10.0.0.0/33" },
    { via: "10.0.0.256" },
    { via: "010.0.0.1" },
    { dev: "" },
    { src: null },
  ];
  for (const change of wrong) assertEquals(check({ ...good, ...change }), false);
});

/** A store on which everything fails that the test says. */
class Failing implements StateStore {
  readonly name = "/run/state.json";
  readonly here = HERE;
  fails: "read" | "begin" | "write" | "commit" | null = null;
  discarded = 0;
  committed = 0;
  read(): null {
    this.#mayFail("read");
    return null;
  }
  begin(): StateText {
    this.#mayFail("begin");
    return {
      write: () => this.#mayFail("write"),
      commit: () => {
        this.#mayFail("commit");
        this.committed++;
      },
      discard: () => void this.discarded++,
    };
  }
  #mayFail(what: string): void {
    if (this.fails === what) throw new Error(`no ${what} today`);
  }
}

for (const fails of ["begin", "write", "commit"] as const) {
  Deno.test(`a ${fails} that fails is reported and counted, and tried again until it succeeds`, async () => {
    const state = new Failing();
    state.fails = fails;
    const bench = await Bench.started({ state }, route(1));
    await bench.advance(25_000_000);
    assertEquals(bench.manager.keeper.failures, 3, "at once, and every ten seconds");
    assertEquals(state.discarded, fails === "begin" ? 0 : 3);
    const told = bench.told("state_file_failed").map(({ message }) => message!);
    assertEquals(told.length, 2, "1, 2, 4, 8, …");
    assertStringIncludes(told[0]!, `no ${fails} today`);
    state.fails = null;
    await bench.advance(10_000_000);
    assertEquals([state.committed, bench.manager.keeper.failures], [1, 3]);
  });
}

Deno.test("a store that cannot be read does not keep the daemon from starting", async () => {
  const state = new Failing();
  state.fails = "read";
  const bench = new Bench({ state });
  bench.manager.recall();
  bench.register(route(1));
  await bench.manager.start();
  await bench.advance(3_000_000);
  assertEquals([bench.manager.keeper.failures, state.committed], [1, 1]);
});

Deno.test("a store that fails at the end does not keep the daemon from ending", async () => {
  const state = new Failing();
  const bench = await Bench.up({ state }, route(1));
  await bench.advance(500_000);
  state.fails = "commit";
  await bench.manager.stop("keep");
  assertEquals(bench.manager.keeper.failures, 1);
  assertEquals(bench.clock.wakesAt, Infinity);
});

Deno.test("ten thousand registrations are few writings, each in many parts", async () => {
  const state = new MachineState();
  let parts = 0;
  const counting: StateStore = {
    name: state.name,
    here: state.here,
    read: () => state.read(),
    begin: () => {
      const { write, commit, discard } = state.begin();
      return {
        write(part) {
          parts++;
          assert(part.length < 64 * 1024);
          write(part);
        },
        commit,
        discard,
      };
    },
  };
  const bench = await Bench.started({ state: counting });
  for (let n = 0; n < 10_000; n++) {
    const [a, b] = [1 + Math.floor(n / 250), 1 + n % 250];
    bench.register(route(1, { dst: `10.2.${a}.${b}/32`, probe: `10.2.${a}.${b}` }));
  }
  await bench.advance(3_000_000);
  const result = readRun(state.read()!, state.here);
  assert(result.ok);
  assertEquals([result.run.sessions.length, result.run.routes.length], [10_000, 10_000]);
  assert(parts > 150 && state.commits <= 2, `${parts} parts, ${state.commits} writings`);
});
