/**
 * A look at a text's tokens before the YAML library builds anything from them: a few megabytes of brackets are
 * enough to make it exhaust the memory of the process, which no `catch` survives.
 */
import { Lexer } from "yaml";

/** Scalars and punctuation in one file, enough for 40,000 routes; also what aliases may expand to. */
export const MAX_TOKENS = 1_000_000;

/** Lists and mappings inside each other; the deepest setting needs three. */
export const MAX_DEPTH = 64;

/** Too much of something, and where it became too much. */
export interface Excess {
  /** 1-based. */
  readonly line: number;
  readonly message: string;
}

// The library's marks between tokens; they are not part of the text.
const DOCUMENT = "\x02";
const SCALAR = "\x1f";
const FLOW_ERROR = "\x18";

/** Whether the text is within bounds (`null`); linear in time, constant in memory. */
export function findExcess(text: string): Excess | null {
  let offset = 0;
  let tokens = 0;
  let brackets = 0;
  let indicators = 0; // "- - - x" nests as deeply as brackets do
  for (const token of new Lexer().lex(text)) {
    if (token === SCALAR || token === DOCUMENT || token === FLOW_ERROR) continue;
    offset += token.length;
    if (/^[\s#]/.test(token)) continue; // white space, line ends and comments cost little
    tokens += 1;
    brackets += token === "[" || token === "{" ? 1 : token === "]" || token === "}" ? -1 : 0;
    indicators = token === "-" || token === "?" || token === ":" ? indicators + 1 : 0;
    if (brackets > MAX_DEPTH || indicators > MAX_DEPTH) {
      const message = `lists and mappings are nested too deeply, the limit is ${MAX_DEPTH}`;
      return { line: lineOf(text, offset), message };
    }
    if (tokens > MAX_TOKENS) {
      const message = `got more than ${MAX_TOKENS} words and signs, the limit`;
      return { line: lineOf(text, offset), message };
    }
  }
  return null;
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
