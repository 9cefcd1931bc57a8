/** The guard: a ratio may not become worse than what is committed by more than noise explains. */
import type { Outcome, Verdict } from "./results.ts";

/** How much worse than the committed result a ratio may be. */
const TOLERANCE = 0.15;

/** One verdict for each ratio that the baseline knows too. */
export function guard(outcome: Outcome, baseline: Outcome | undefined): Verdict[] {
  return Object.entries(outcome.ratios).flatMap(([name, ratio]) => {
    const before = baseline?.ratios[name];
    if (before === undefined) return [];
    return [{
      what: `${name}: no more than ${100 * TOLERANCE} % worse than the committed ${before}`,
      found: String(ratio),
      ok: ratio <= before * (1 + TOLERANCE),
    }];
  });
}
