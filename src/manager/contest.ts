import { backoffDelay, type BackoffLimits } from "./backoff.ts";

/** Removals in quick succession that are answered at once. */
const PATIENCE = 10;
/** Without a removal for this long, all is forgotten. µs. */
const QUIET_US = 5_000_000;
/** What each further removal costs: somebody insists, and answering every time would only heat both. */
const DELAYS: BackoffLimits = { firstUs: 100_000, maxUs: 10_000_000 };

/** One route's fight with whoever keeps removing it: how long to wait before it is put back. */
export class Contest {
  /** Removals since it was last quiet. */
  removals = 0;
  /** How the last one came about: `removed by ip (pid 812)`. */
  how = "";
  #lastAt = -Infinity;

  /** Counts a removal. Returns how long to wait before answering, µs; 0 is at once. */
  removed(how: string, now: number): number {
    this.how = how;
    if (now - this.#lastAt > Math.max(QUIET_US, 2 * this.#delay())) this.removals = 0;
    this.#lastAt = now;
    this.removals++;
    return this.#delay();
  }

  #delay(): number {
    return this.removals <= PATIENCE ? 0 : backoffDelay(this.removals - PATIENCE, DELAYS);
  }
}
