/** What became of a line: admitted, with how many like it were held back before; or held back. */
export type Verdict = { readonly admit: true; readonly suppressed: number } | {
  readonly admit: false;
};

interface Window<T> {
  start: number;
  admitted: number;
  suppressed: number;
  last: T;
}

/** How many identical lines pass in one window. */
const BURST = 5;
/** Length of a window, milliseconds. */
const WINDOW_MS = 10_000;
/** Kinds of lines remembered at one time. */
const KEYS = 4_096;

/**
 * Holds identical lines back when they come too often. Nothing is lost in silence: the count of what
 * was held back goes out with the next such line, or through {@linkcode expired}.
 */
export class Suppressor<T> {
  // A window that is begun anew moves to the end, so the first is always the oldest.
  readonly #windows = new Map<string, Window<T>>();
  readonly #emit: (last: T, suppressed: number) => void;

  /** `emit` is given the last line held back of a window that ended, and how many there were. */
  constructor(emit: (last: T, suppressed: number) => void) {
    this.#emit = emit;
  }

  /** Judges the line `item`, identical to others of the same key; `now` in milliseconds. */
  judge(key: string, item: T, now: number): Verdict {
    this.expire(now, key);
    const window = this.#windows.get(key);
    if (window !== undefined && !ended(window, now)) {
      if (window.admitted < BURST) {
        window.admitted++;
        return { admit: true, suppressed: 0 };
      }
      window.suppressed++;
      window.last = item;
      return { admit: false };
    }
    this.#windows.delete(key);
    if (this.#windows.size >= KEYS) this.#dropOldest();
    this.#windows.set(key, { start: now, admitted: 1, suppressed: 0, last: item });
    return { admit: true, suppressed: window?.suppressed ?? 0 };
  }

  /** Forgets windows that ended and reports what they held back, except that of `keep`. */
  expire(now: number, keep?: string): void {
    for (const [key, window] of this.#windows) {
      if (!ended(window, now)) return;
      if (key !== keep) this.#drop(key, window);
    }
  }

  /** Reports all that was held back, for the end of the program. */
  finish(): void {
    while (this.#windows.size > 0) this.#dropOldest();
  }

  #dropOldest(): void {
    for (const [key, window] of this.#windows) return this.#drop(key, window);
  }

  #drop(key: string, window: Window<T>): void {
    this.#windows.delete(key);
    if (window.suppressed > 0) this.#emit(window.last, window.suppressed);
  }
}

// A wall clock may jump back: then the window has ended, too, rather than lasting for years.
function ended(window: { readonly start: number }, now: number): boolean {
  return now >= window.start + WINDOW_MS || now < window.start;
}
