import { assertEquals, assertExists } from "@std/assert";
import { asEvent, type EventRecord, rfc3339 } from "../../../src/observe/event.ts";
import { EventLog } from "../../../src/observe/event_log.ts";
import type { Batch } from "../../../src/observe/follower.ts";

const session = { dev: "tun0", src: "10.0.0.1", peer: "10.0.0.2" };

function newLog(): { log: EventLog; written: EventRecord[] } {
  const written: EventRecord[] = [];
  const log = new EventLog({
    wall: () => 1_700_000_000_123,
    write: (record) => written.push(record),
  });
  return { log, written };
}

/** What a follower gets at one time. */
async function take(follower: AsyncIterator<Batch>): Promise<(number | string)[]> {
  const next = await follower.next();
  if (next.done) return ["end"];
  return next.value.map((item) => "lost" in item ? `lost ${item.lost}` : item.seq);
}

Deno.test("an event is numbered, dated, written and kept as one record, and shown in one object", () => {
  const { log, written } = newLog();
  log.report("session_state", { session, from: "down", to: "up", after_us: 12 });
  assertEquals(written.length, 1);
  assertEquals(log.history(), written);
  const event = {
    seq: 1,
    time: "2023-11-14T22:13:20.123Z",
    kind: "session_state",
    session,
    from: "down",
    to: "up",
    after_us: 12,
  };
  assertEquals(asEvent(written[0]!) as unknown, event);
  assertEquals(Object.keys(asEvent(written[0]!)), Object.keys(event), "in this order");
});

Deno.test("the text of a time is that of its own millisecond", () => {
  const texts = [1_700_000_000_123, 1_700_000_000_123, 1_700_000_000_124, 0].map(rfc3339);
  assertEquals(texts, [
    "2023-11-14T22:13:20.123Z",
    "2023-11-14T22:13:20.123Z",
    "2023-11-14T22:13:20.124Z",
    "1970-01-01T00:00:00.000Z",
  ]);
});

Deno.test("the last 1,000 events are kept", () => {
  const { log, written } = newLog();
  for (let i = 0; i < 1_500; i++) log.report("session_state", { session, to: "up" });
  assertEquals(written.length, 1_500);
  assertEquals([log.history().length, log.history()[0]?.seq, log.history().at(-1)?.seq], [
    1_000,
    501,
    1_500,
  ]);
  assertEquals(log.history(1_498).map(({ seq }) => seq), [1_499, 1_500]);
});

Deno.test("a follower gets what is kept after its number, then what happens", async () => {
  const { log } = newLog();
  for (let i = 0; i < 3; i++) log.report("route_installed", {});
  const follower = log.follow(1);
  assertExists(follower);
  assertEquals(await take(follower), [2, 3]);
  const waiting = take(follower);
  log.report("route_withdrawn", {});
  assertEquals(await waiting, [4]);
  follower.close();
  assertEquals(await take(follower), ["end"]);
});

Deno.test("a follower that asks for what is no longer kept is told how much it missed", async () => {
  const { log } = newLog();
  for (let i = 0; i < 1_010; i++) log.report("route_installed", {});
  const follower = log.follow(5);
  assertExists(follower);
  assertEquals((await take(follower)).slice(0, 2), ["lost 5", 11]);
  follower.close();
});

Deno.test("a slow follower loses the oldest, is told how many, and holds no more", async () => {
  const { log } = newLog();
  const follower = log.follow();
  assertExists(follower);
  for (let i = 0; i < 10_000; i++) log.report("route_installed", {});
  const first = await take(follower);
  assertEquals(first.slice(0, 3), [`lost ${10_000 - 4_096}`, 5_905, 5_906]);
  log.report("route_withdrawn", {});
  const rest = [];
  while (rest.at(-1) !== 10_001) rest.push(...await take(follower));
  assertEquals(rest[0], Number(first.at(-1)) + 1);
  assertEquals(first.length - 1 + rest.length, 4_096 + 1);
  follower.close();
});

Deno.test("a follower gets a bounded number of events at one time", async () => {
  const { log } = newLog();
  for (let i = 0; i < 600; i++) log.report("route_installed", {});
  const follower = log.follow(0);
  assertExists(follower);
  const got = [await take(follower), await take(follower), await take(follower)];
  assertEquals(got.map(({ length }) => length), [256, 256, 88]);
  assertEquals(got.flat().at(-1), 600);
  follower.close();
});

Deno.test("the end of the log ends a follower that waits, and no more than 64 may follow", async () => {
  const { log } = newLog();
  const followers = Array.from({ length: 64 }, () => log.follow());
  assertEquals(followers.includes(null), false);
  assertEquals(log.follow(), null);
  const waiting = take(followers[0]!);
  await followers[1]!.return();
  assertExists(log.follow());
  log.close();
  assertEquals(await waiting, ["end"]);
});
