import { assertEquals, assertExists } from "@std/assert";
import type { Event } from "../../../src/observe/event.ts";
import { EventLog } from "../../../src/observe/event_log.ts";
import type { Gap } from "../../../src/observe/follower.ts";

const session = { dev: "tun0", src: "10.0.0.1", peer: "10.0.0.2" };

function newLog(): { log: EventLog; written: Event[] } {
  const written: Event[] = [];
  const log = new EventLog({
    wall: () => 1_700_000_000_123,
    write: (event) => written.push(event),
  });
  return { log, written };
}

/** The next `count` things that a follower gets. */
async function take(
  follower: AsyncIterator<Event | Gap>,
  count: number,
): Promise<(number | string)[]> {
  const got = [];
  for (let i = 0; i < count; i++) {
    const next = await follower.next();
    if (next.done) got.push("end");
    else got.push("lost" in next.value ? `lost ${next.value.lost}` : next.value.seq);
  }
  return got;
}

Deno.test("an event is numbered, dated, written and kept as one record", () => {
  const { log, written } = newLog();
  log.report("session_state", { session, from: "down", to: "up", after_us: 12 });
  const event = {
    seq: 1,
    time: "2023-11-14T22:13:20.123Z",
    kind: "session_state",
    session,
    from: "down",
    to: "up",
    after_us: 12,
  };
  assertEquals(written as unknown[], [event]);
  assertEquals(log.history() as unknown[], [event]);
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
  assertEquals(await take(follower, 2), [2, 3]);
  const waiting = take(follower, 1);
  log.report("route_withdrawn", {});
  assertEquals(await waiting, [4]);
  follower.close();
  assertEquals(await take(follower, 1), ["end"]);
});

Deno.test("a follower that asks for what is no longer kept is told how much it missed", async () => {
  const { log } = newLog();
  for (let i = 0; i < 1_010; i++) log.report("route_installed", {});
  const follower = log.follow(5);
  assertExists(follower);
  assertEquals(await take(follower, 2), ["lost 5", 11]);
  follower.close();
});

Deno.test("a slow follower loses the oldest, is told how many, and holds no more", async () => {
  const { log } = newLog();
  const follower = log.follow();
  assertExists(follower);
  for (let i = 0; i < 10_000; i++) log.report("route_installed", {});
  assertEquals(await take(follower, 3), [`lost ${10_000 - 4_096}`, 5_905, 5_906]);
  log.report("route_withdrawn", {});
  const rest = await take(follower, 4_095);
  assertEquals([rest[0], rest.at(-1)], [5_907, 10_001]);
  follower.close();
});

Deno.test("the end of the log ends a follower that waits, and no more than 64 may follow", async () => {
  const { log } = newLog();
  const followers = Array.from({ length: 64 }, () => log.follow());
  assertEquals(followers.includes(null), false);
  assertEquals(log.follow(), null);
  const waiting = take(followers[0]!, 1);
  await followers[1]!.return();
  assertExists(log.follow());
  log.close();
  assertEquals(await waiting, ["end"]);
});
