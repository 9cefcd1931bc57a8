import type { EventDetails } from "../observe/event.ts";
import { State, STATE_NAMES } from "../protocol/packet.ts";
import { type Transition, UNSET } from "../protocol/session.ts";
import type { Loop } from "../scheduler/loop.ts";
import type { SessionEntry } from "./session_entry.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What an event tells of a change of state: from, to, why, and what it took. Measures convergence. */
export function transitionDetails(
  entry: SessionEntry,
  { from, to, reason }: Transition,
  loop: Loop,
): EventDetails {
  const after = takeConvergence(entry, from, to, loop.now);
  const message = reason === "timeout" ? stallMessage(entry, loop) : null;
  const details: Mutable<EventDetails> = {
    session: entry.subject,
    from: STATE_NAMES[from],
    to: STATE_NAMES[to],
  };
  if (reason !== "none") details.reason = reason;
  if (after !== null) details.after_us = after;
  if (message !== null) details.message = message;
  return details;
}

/**
 * Measures how long the way to Up, or the failure until its detection, has taken, in µs. A mark that
 * has been read is cleared, so that the next one starts with the next first sign.
 */
function takeConvergence(
  { session, end }: SessionEntry,
  from: State,
  to: State,
  now: number,
): number | null {
  const startedAt = to === State.Up
    ? session.convUpStartUs
    : from === State.Up
    ? session.convDownStartUs
    : UNSET;
  if (to === State.Up) session.convUpStartUs = UNSET;
  if (to <= State.Down) session.convDownStartUs = session.convUpStartUs = UNSET;
  if (startedAt === UNSET) return null;
  const took = Math.max(0, now - startedAt);
  (to === State.Up ? end.convergenceToUp : end.convergenceToDown).observe(took / 1e6);
  return took;
}

/** A timeout that follows a stall of our own may be our fault; the operator should know. */
function stallMessage(entry: SessionEntry, loop: Loop): string | null {
  if (loop.now - loop.lastStallAt > entry.session.detectTimeUs) return null;
  return `this daemon was held up for ${Math.round(loop.lastStallUs / 1e3)} ms before`;
}
