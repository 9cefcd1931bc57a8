import { nearest } from "../config/nearest.ts";
import { CliError, Exit } from "./exit.ts";

/** What may follow: words that take a value, and words that stand alone. */
export interface WordRules {
  readonly pairs: readonly string[];
  readonly flags?: readonly string[];
  /** Pairs that must be there. */
  readonly required?: readonly string[];
}

/** What was said. */
export type Said = Readonly<Record<string, string | true>>;

/**
 * Reads iproute2's way of naming things, `via 10.0.0.2 dev tun0`, in any order.
 * @throws {CliError} status 2, naming what was given and what is allowed
 */
export function readWordPairs(words: readonly string[], rules: WordRules): Said {
  const said: Record<string, string | true> = {};
  const { pairs, flags = [], required = [] } = rules;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (Object.hasOwn(said, word)) throw usage(`"${word}" is given twice`);
    if (flags.includes(word)) {
      said[word] = true;
    } else if (pairs.includes(word)) {
      const value = words[++i];
      if (value === undefined) throw usage(`"${word}" needs a value after it`);
      said[word] = value;
    } else {
      throw unknownWord(word, [...pairs, ...flags]);
    }
  }
  const missing = required.filter((name) => said[name] === undefined);
  if (missing.length > 0) throw usage(`missing: ${missing.join(", ")}`);
  return said;
}

function unknownWord(word: string, allowed: readonly string[]): CliError {
  const near = nearest(word, allowed);
  const hint = near === undefined ? "" : ` (did you mean "${near}"?)`;
  return usage(`unknown word "${word}"${hint}; allowed are ${allowed.join(", ")}`);
}

function usage(message: string): CliError {
  return new CliError(Exit.usage, message);
}
