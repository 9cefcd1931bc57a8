import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import type { LogFormat, LogLevel } from "../../../src/config/config.ts";
import { escapeControls, escapeJsonControls } from "../../../src/observe/escape.ts";
import type { EventDetails, EventKind } from "../../../src/observe/event.ts";
import { defaultFormat, Logger } from "../../../src/observe/log.ts";

const session = { dev: "tun0", src: "10.0.0.1", peer: "10.0.0.2" };
const route = { table: 254, dst: "10.1.0.1/32", via: "10.0.0.2", dev: "tun0", src: "10.0.0.1" };

class Bench {
  readonly lines: string[] = [];
  readonly logger: Logger;
  now = 1_700_000_000_000;
  #seq = 0;

  constructor(format: LogFormat = "json", level: LogLevel = "info", color = false) {
    const sink = { write: (line: string) => this.lines.push(line) };
    this.logger = new Logger({ format, level, color, wall: () => this.now, sink });
  }

  event(kind: EventKind, details: EventDetails): void {
    this.logger.event({ seq: ++this.#seq, at: this.now, kind, details });
  }

  records(): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line));
  }
}

Deno.test("the JSON line of an event is its record with a level", () => {
  const bench = new Bench();
  bench.event("route_install_failed", { route, reason: "Network is unreachable" });
  assertEquals(bench.records(), [{
    time: "2023-11-14T22:13:20.000Z",
    level: "warn",
    seq: 1,
    kind: "route_install_failed",
    route,
    reason: "Network is unreachable",
  }]);
  assert(bench.lines[0]!.endsWith("}\n"));
});

Deno.test("the text line says what happened, to what, why, and what it took", () => {
  const bench = new Bench("text");
  bench.event("session_state", { session, from: "up", to: "down", reason: "timeout" });
  bench.event("route_withdrawn", { route, after_us: 1_234 });
  bench.logger.info("starts", { mode: "active", routes: 3 });
  assertEquals(bench.lines, [
    "2023-11-14T22:13:20.000Z WARN  session 10.0.0.2 dev tun0 src 10.0.0.1: up -> down (timeout)\n",
    "2023-11-14T22:13:20.000Z INFO  route withdrawn 10.1.0.1/32 via 10.0.0.2 dev tun0 src 10.0.0.1" +
    " table 254 after 1.23 ms\n",
    "2023-11-14T22:13:20.000Z INFO  starts mode=active routes=3\n",
  ]);
});

Deno.test("what an operator did is no warning, what failed is, bookkeeping is for debugging", () => {
  const bench = new Bench("json", "debug");
  const transition = (from: string, to: string) =>
    bench.event("session_state", { session, from, to });
  transition("up", "down");
  transition("up", "admin_down");
  transition("down", "init");
  transition("init", "up");
  bench.event("route_registered", { route });
  bench.event("endpoint_lost", { reason: "gone" });
  const levels = bench.records().map(({ level }) => level);
  assertEquals(levels, ["warn", "info", "debug", "info", "debug", "warn"]);
});

Deno.test("lines below the level are not written", () => {
  const bench = new Bench("json", "warn");
  bench.logger.info("quiet");
  bench.event("route_installed", { route });
  bench.logger.error("loud");
  assertEquals(bench.records().map(({ message }) => message), ["loud"]);
});

Deno.test("colour appears when it is asked for and never otherwise", () => {
  const [plain, colored] = [new Bench("text"), new Bench("text", "info", true)];
  for (const bench of [plain, colored]) bench.logger.warn("look");
  // deno-lint-ignore no-control-regex
  const escape = /\x1b\[/;
  assertNotMatch(plain.lines[0]!, escape);
  if (!Deno.noColor) assertMatch(colored.lines[0]!, escape);
});

Deno.test("text is the default for a terminal, JSON for everything else", () => {
  assertEquals([defaultFormat(true), defaultFormat(false)], ["text", "json"]);
});

Deno.test("a line that repeats is held back after five, and the count is told", () => {
  const bench = new Bench();
  const fail = () => bench.event("route_install_failed", { route, reason: "busy" });
  for (let i = 0; i < 100; i++) fail();
  assertEquals(bench.lines.length, 5);
  assertEquals(bench.logger.suppressed, 95);
  bench.now += 10_000;
  fail();
  assertEquals(bench.records().at(-1)?.suppressed, 95);
  fail();
  assertEquals(bench.records().at(-1)?.suppressed, undefined);
});

Deno.test("lines about different things do not hold each other back", () => {
  const bench = new Bench();
  for (let i = 0; i < 1_000; i++) {
    bench.event("route_installed", { route: { ...route, dst: `10.1.${i >> 8}.${i & 255}/32` } });
  }
  assertEquals(bench.lines.length, 1_000);
  assertEquals(bench.logger.suppressed, 0);
});

Deno.test("what was held back is told when something else is logged later, or at the end", () => {
  const bench = new Bench();
  for (let i = 0; i < 8; i++) bench.logger.warn("again");
  bench.now += 10_000;
  bench.logger.warn("other");
  assertEquals(bench.records().slice(5).map(({ message, suppressed }) => [message, suppressed]), [
    ["again", 3],
    ["other", undefined],
  ]);
  for (let i = 0; i < 6; i++) bench.logger.warn("more");
  bench.logger.finish();
  assertEquals(bench.records().at(-1)?.suppressed, 1);
});

Deno.test("what is held back of one line is told by it, of the others by themselves, each once", () => {
  const bench = new Bench();
  for (const line of ["a", "b", "c"]) for (let i = 0; i < 7; i++) bench.logger.warn(line);
  bench.now += 10_000;
  bench.lines.length = 0;
  bench.logger.warn("b");
  bench.logger.warn("a");
  bench.logger.finish();
  assertEquals(bench.records().map(({ message, suppressed }) => [message, suppressed]), [
    ["a", 2],
    ["c", 2],
    ["b", 2],
    ["a", undefined],
  ]);
});

Deno.test("of more kinds of lines than are remembered the oldest is told and forgotten", () => {
  const bench = new Bench();
  for (let i = 0; i < 7; i++) bench.logger.warn("first");
  for (let i = 0; i < 4_096; i++) bench.logger.warn(`other ${i}`);
  assertEquals(bench.lines.length, 5 + 4_096 + 1);
  assertEquals(bench.records().at(-2)?.suppressed, 2);
  bench.logger.warn("first");
  bench.logger.warn("other 4095");
  assertEquals(bench.lines.length, 5 + 4_096 + 3, "nothing is left of the first's window");
});

Deno.test("a wall clock that jumps back does not silence the log", () => {
  const bench = new Bench();
  for (let i = 0; i < 6; i++) bench.logger.warn("again");
  bench.now -= 3_600_000;
  bench.logger.warn("again");
  assertEquals(bench.lines.length, 6);
});

Deno.test("control characters from outside cannot forge a line or act on a terminal", () => {
  const evil = "x\n2023 INFO all is well\x1b[2J\u009b1m\u202e";
  for (const format of ["json", "text"] as const) {
    const bench = new Bench(format);
    bench.logger.warn(evil, { field: evil });
    bench.event("route_install_failed", { reason: evil, session: { ...session, dev: evil } });
    for (const line of bench.lines) {
      assertEquals(line.split("\n").length, 2);
      // deno-lint-ignore no-control-regex
      assertNotMatch(line.slice(0, -1), /[\x00-\x1f\x7f-\x9f\u202e]/);
    }
    if (format === "json") assertEquals(bench.records()[0]?.message, evil);
  }
  assertEquals(escapeControls("a\tb\u202e"), "a\\x09b\\u202e");
  assertEquals(JSON.parse(escapeJsonControls(JSON.stringify([evil]))), [evil]);
});
