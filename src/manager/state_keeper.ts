/**
 * Keeps the state file: reads what the former run left, and writes down who we are whenever that changes.
 *
 * Sessions and routes that come or go are a reason to write; what happens to them is not, so that a bad
 * path or a flood of packets writes nothing. A change is written soon and not too often, a part in each
 * turn of the loop.
 */
import type { Report } from "../observe/event.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Loop } from "../scheduler/loop.ts";
import type { TimerId, TimerOwner, TimerWheel } from "../scheduler/timer_wheel.ts";
import { worthReporting } from "./backoff.ts";
import {
  type FormerRoute,
  type FormerRun,
  type FormerSession,
  NOTHING,
  type Place,
  readRun,
  writeRun,
} from "./former_run.ts";

/** Where the text is kept. What goes wrong is thrown, with a message for people. */
export interface StateStore {
  /** What the text is called, in messages. */
  readonly name: string;
  readonly here: Place;
  /** The text that was committed last; `null` when there is none. */
  read(): string | null;
  /** Begins another text. The former stays what it is until the new one is committed. */
  begin(): StateText;
}

/** A text that is being written. Of no use once {@linkcode commit} or {@linkcode discard} was called. */
export interface StateText {
  write(part: string): void;
  /** Puts the text in the former's place, at once and as a whole. */
  commit(): void;
  discard(): void;
}

export interface StateKeeperOptions {
  /** `null` when nothing is to be kept. */
  readonly store: StateStore | null;
  readonly protocol: number;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  readonly sessions: () => Iterable<FormerSession>;
  readonly routes: () => Iterable<FormerRoute>;
  readonly report: Report;
}

/** Changes come in bursts: a configuration's routes, a client's list. */
const DELAY_US = 200_000;
/** The least time between the end of one writing and the next. */
const GAP_US = 1_000_000;
/** Between two parts of a text: the loop has other things to do. */
const PART_GAP_US = 2_000;
/** After a failure; a full disk does not empty soon. */
const RETRY_US = 10_000_000;

export class StateKeeper implements TimerOwner {
  /** Texts that could not be read or written. */
  failures = 0;
  /** Texts written. */
  writes = 0;
  readonly #options: StateKeeperOptions;
  readonly #timer: TimerId;
  #text: StateText | null = null;
  #parts: Iterator<string> | null = null;
  #dirty = false;
  #notBefore = -Infinity;
  #ended = false;

  constructor(options: StateKeeperOptions) {
    this.#options = options;
    this.#timer = options.wheel.add(this);
  }

  /** Reads what the former run left. What is of no use is reported and counts as nothing. */
  recall(): FormerRun {
    const { store } = this.#options;
    if (store === null) return NOTHING;
    try {
      const text = store.read();
      if (text === null) return NOTHING;
      const result = readRun(text, store.here);
      if (result.ok) return result.run;
      this.#failed(`the state of the former run is ignored: ${store.name}: ${result.reason}`);
    } catch (error) {
      this.#failed(`the state of the former run is ignored: ${messageOf(error)}`);
    }
    return NOTHING;
  }

  /** A session or route came or went, or what is written of it is not true any more. */
  changed(): void {
    if (this.#options.store === null || this.#ended) return;
    this.#dirty = true;
    if (this.#parts === null) this.#arm(DELAY_US);
  }

  /** Writes the last text, at once: it says that no peer counts on us any more. */
  end(): void {
    this.#ended = true;
    this.#options.wheel.cancel(this.#timer);
    this.#abandon();
    if (this.#options.store === null) return;
    this.#attempt(() => {
      this.#begin();
      while (this.#writePart());
    });
  }

  due(): void {
    this.#attempt(() => {
      if (this.#parts === null) this.#begin();
      if (this.#writePart()) this.#arm(PART_GAP_US);
      else if (this.#dirty) this.#arm(DELAY_US);
    });
  }

  #begin(): void {
    const { store, protocol, sessions, routes } = this.#options;
    this.#dirty = false;
    this.#text = store!.begin();
    const head = { ...store!.here, protocol, ended: this.#ended };
    this.#parts = writeRun(head, sessions(), routes())[Symbol.iterator]();
  }

  /** Writes the next part; false when that was the last. */
  #writePart(): boolean {
    const { done, value } = this.#parts!.next();
    if (!done) {
      this.#text!.write(value);
      return true;
    }
    this.#text!.commit();
    this.#text = this.#parts = null;
    this.writes++;
    this.#notBefore = this.#options.clock.now() + GAP_US;
    return false;
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#abandon();
      this.#failed(`the state cannot be kept: ${messageOf(error)}`);
      this.#dirty = true;
      if (!this.#ended) this.#arm(RETRY_US);
    }
  }

  #abandon(): void {
    const text = this.#text;
    this.#text = this.#parts = null;
    try {
      text?.discard();
    } catch {
      // What made it fail has been reported.
    }
  }

  #arm(delayUs: number): void {
    const { clock, wheel, loop } = this.#options;
    if (wheel.isArmed(this.#timer)) return;
    const now = clock.now();
    const at = this.#parts === null ? Math.max(now + delayUs, this.#notBefore) : now + delayUs;
    wheel.arm(this.#timer, at);
    loop.wake();
  }

  #failed(message: string): void {
    this.failures++;
    if (worthReporting(this.failures)) this.#options.report("state_file_failed", { message });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
