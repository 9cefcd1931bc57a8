import { levenshteinDistance } from "../std/text.ts";

/**
 * The candidate that was probably meant by a mistyped word; `undefined` when none is near.
 * Case and the difference between `-` and `_` do not count.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const given = normalized(word);
  if (given.length === 0 || given.length > 64) return undefined;
  const usual = Math.max(1, Math.floor(given.length / 3));
  let best: { candidate: string; distance: number } | undefined;
  for (const candidate of candidates) {
    const name = normalized(candidate);
    const distance = levenshteinDistance(given, name);
    const allowed = lettersOf(given) === lettersOf(name) ? Math.max(2, usual) : usual;
    if (distance <= allowed && (best === undefined || distance < best.distance)) {
      best = { candidate, distance };
    }
  }
  return best?.candidate;
}

function normalized(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}

/** Equal for words that differ in the order of their letters: two swapped ones count as two edits. */
function lettersOf(word: string): string {
  return [...word].sort().join("");
}
