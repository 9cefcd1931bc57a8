import { asEvent, type EventRecord } from "../observe/event.ts";
import { BATCH, type Follower, type Gap } from "../observe/follower.ts";
import type { ApiContext } from "./context.ts";
import { ApiProblem, quote } from "./problem.ts";
import { slices, textBody } from "./slices.ts";

/**
 * `GET /v1/events?follow=true&since=SEQ`: events after SEQ as NDJSON, one a line; with `follow` the answer
 * goes on as they happen. A client that reads too slowly finds `{"kind":"gap","lost":N}` in place of
 * what it missed.
 */
export function listEvents(context: ApiContext, request: Request): Response {
  const { follow, since } = readQuery(new URL(request.url).searchParams);
  return new Response(follow ? followed(context, since) : kept(context, since), {
    headers: { "content-type": "application/x-ndjson" },
  });
}

function kept(context: ApiContext, since: number): ReadableStream<Uint8Array> {
  async function* lines(): AsyncGenerator<string, void, void> {
    for await (const slice of slices(context.events.history(since), context.pause)) {
      yield slice.map(line).join("");
    }
  }
  return textBody(lines());
}

function followed(context: ApiContext, since: number): ReadableStream<Uint8Array> {
  const follower = context.events.follow(since);
  if (follower === null) throw new ApiProblem(503, "too many clients follow the events already");
  return textBody(new Lines(follower, context.pause));
}

/** A follower's events as text. Ending it wakes a read that waits, which a generator could not. */
class Lines implements AsyncIterator<string, void, void> {
  readonly #follower: Follower;
  readonly #pause: () => Promise<void>;
  #more = false;

  constructor(follower: Follower, pause: () => Promise<void>) {
    this.#follower = follower;
    this.#pause = pause;
  }

  // Events that wait go out together: a piece of an answer costs the runtime far more than an event's text.
  async next(): Promise<IteratorResult<string, void>> {
    if (this.#more) await this.#pause();
    const next = await this.#follower.next();
    if (next.done) return { done: true, value: undefined };
    this.#more = next.value.length >= BATCH;
    return { done: false, value: next.value.map(line).join("") };
  }

  return(): Promise<IteratorResult<string, void>> {
    this.#follower.close();
    return Promise.resolve({ done: true, value: undefined });
  }
}

function line(record: EventRecord | Gap): string {
  const shown = "lost" in record ? { kind: "gap", lost: record.lost } : asEvent(record);
  return JSON.stringify(shown) + "\n";
}

function readQuery(query: URLSearchParams): { follow: boolean; since: number } {
  for (const name of query.keys()) {
    if (name !== "follow" && name !== "since") {
      throw new ApiProblem(400, `there is no parameter ${quote(name)}; allowed are follow, since`);
    }
  }
  const follow = query.get("follow") ?? "false";
  if (follow !== "true" && follow !== "false") {
    throw new ApiProblem(400, `follow must be true or false, got ${quote(follow)}`);
  }
  const since = query.get("since") ?? "0";
  if (!/^\d{1,15}$/.test(since)) {
    throw new ApiProblem(400, `since must be an event's number (0 for all), got ${quote(since)}`);
  }
  return { follow: follow === "true", since: Number(since) };
}
