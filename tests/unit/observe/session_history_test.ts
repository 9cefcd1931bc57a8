import { assertEquals } from "@std/assert";
import type { EventDetails, EventSession } from "../../../src/observe/event.ts";
import { SESSION_HISTORY, SessionHistory } from "../../../src/observe/session_history.ts";

class Bench {
  readonly history = new SessionHistory();
  #seq = 0;

  happens(
    session: EventSession,
    details: EventDetails = {},
    kind = "session_state" as const,
  ): void {
    const record = {
      seq: ++this.#seq,
      at: 1_000 * this.#seq,
      kind,
      details: { session, ...details },
    };
    this.history.add(record, session);
  }

  seqs(session: EventSession): number[] {
    return this.history.of(session).map(({ seq }) => seq);
  }
}

const session = (n: number): EventSession => ({
  dev: "tun0",
  src: "10.0.0.1",
  peer: `10.1.0.${n}`,
});

Deno.test("a session's events come back as they were, oldest first, without those of others", () => {
  const bench = new Bench();
  const [a, b] = [session(1), session(2)];
  bench.happens(a, { from: "down", to: "init" });
  bench.happens(b, { from: "down", to: "up", after_us: 7 });
  bench.happens(a, { from: "init", to: "up", after_us: 12_345 });
  bench.happens(a, { from: "up", to: "down", reason: "timeout", message: "held up" });
  assertEquals(bench.history.of({ ...a }), [
    {
      seq: 1,
      time: "1970-01-01T00:00:01.000Z",
      kind: "session_state",
      session: a,
      from: "down",
      to: "init",
    },
    {
      seq: 3,
      time: "1970-01-01T00:00:03.000Z",
      kind: "session_state",
      session: a,
      from: "init",
      to: "up",
      after_us: 12_345,
    },
    {
      seq: 4,
      time: "1970-01-01T00:00:04.000Z",
      kind: "session_state",
      session: a,
      from: "up",
      to: "down",
      reason: "timeout",
      message: "held up",
    },
  ]);
  assertEquals(bench.seqs(session(3)), []);
});

Deno.test("the last 32 events of a session are kept", () => {
  const bench = new Bench();
  const one = session(1);
  for (let i = 0; i < 100; i++) bench.happens(one);
  assertEquals(bench.seqs(one), Array.from({ length: SESSION_HISTORY }, (_, i) => 69 + i));
});

Deno.test("a session that flaps takes the past of others only when all of it is full", () => {
  const bench = new Bench();
  const [quiet, busy] = [session(1), session(2)];
  bench.happens(quiet);
  for (let i = 0; i < 32_767; i++) bench.happens(busy);
  assertEquals([bench.seqs(quiet), bench.seqs(busy).length], [[1], SESSION_HISTORY]);
  bench.happens(busy);
  assertEquals([bench.seqs(quiet), bench.seqs(busy).at(-1)], [[], 32_769]);
  bench.happens(quiet);
  assertEquals(bench.seqs(quiet), [32_770]);
});

Deno.test("a session that was removed has no past, and one that is made anew begins its own", () => {
  const bench = new Bench();
  const one = session(1);
  bench.happens(one);
  bench.happens(one, {}, "session_removed" as "session_state");
  assertEquals(bench.seqs(one), []);
  const again = session(1);
  bench.happens(again);
  assertEquals(bench.seqs(one), [3]);
});

Deno.test("a thousand different messages are kept, further ones are left out", () => {
  const bench = new Bench();
  const one = session(1);
  const stall = (i: number) => bench.happens(one, { message: `held up for ${i} ms` });
  const messages = () => bench.history.of(one).map(({ message }) => message);
  for (let i = 1; i <= 1_024; i++) stall(i);
  assertEquals(messages().at(-1), "held up for 1024 ms");
  for (let i = 1_025; i <= 1_100; i++) stall(i);
  assertEquals(messages(), Array(SESSION_HISTORY).fill(undefined));
  assertEquals(bench.seqs(one).at(-1), 1_100);
});
