/** What a scenario is. */
import type { ContestantKey, Load } from "./contestants.ts";
import type { Setting } from "./measure.ts";
import type { Outcome } from "./results.ts";

/** What the scenarios of one suite share. */
export interface Suite extends Setting {
  /** The thorough suite: longer windows, more rounds. */
  readonly full: boolean;
  /** Rounds in which every contestant runs once. */
  readonly rounds: number;
  /** Length of a window of steady operation. */
  readonly windowMs: number;
  /** How long many sessions must be kept without one going down. */
  readonly holdMs: number;
  /** Who takes part. */
  readonly contestants: readonly ContestantKey[];
  /** Compiles the sources once more, with more flags for V8: the path of that executable. */
  compile(v8Flags: string): Promise<string>;
  /** Tells what has just been found. */
  say(text: string): void;
}

export interface Scenario {
  /** For the command line and the results. */
  readonly name: string;
  readonly title: string;
  /** What is done, in a sentence or two. */
  readonly about: string;
  /** Part of the quick suite. */
  readonly quick: boolean;
  run(suite: Suite): Promise<Outcome>;
}

/**
 * Between "all up" and a window: the garbage of the start-up is collected, caches are warm, and what will be
 * compiled is: a window is to show what a daemon costs for weeks, not in its first seconds.
 */
export const SETTLE_MS = 15_000;

/** The load of most scenarios: 300 ms × 3. */
export function usualLoad(sessions: number): Load {
  return { sessions, intervalMs: 300, detectMult: 3 };
}
