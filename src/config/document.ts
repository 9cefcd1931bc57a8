/**
 * YAML text to plain values that remember where they stood.
 *
 * Only problems and overrides ask for places. They are found by reading the text once more, so that nothing but
 * the values takes up memory while all is well.
 */
import { type Event, EVENT_ID, parseEvents, YAMLException } from "js-yaml";
import { Lines } from "./lines.ts";
import { type KeyPath, type Location, type Problem, unreadable } from "./problem.ts";
import { type Refusal, type Starts, ValueReader } from "./values.ts";

/** A text that could be read, before anybody asks what it means. */
export interface Document {
  /** Objects, arrays and scalars; `null` for a text of nothing but white space and comments. */
  readonly data: unknown;
  /** Where a key (or list entry) stands; for one that is not there, the nearest thing that holds it. */
  locate(path: KeyPath): Location;
  /** Whether the text itself has something at this path. */
  has(path: KeyPath): boolean;
}

export type DocumentResult =
  | { readonly ok: true; readonly document: Document }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Line ends, dashes, commas and the like, of which each value needs one: enough for 50,000 routes. */
const MAX_SIGNS = 500_000;

/** Lists and mappings inside each other; the deepest setting needs three. */
const MAX_DEPTH = 64;

/** Reads one YAML 1.2 document (JSON is a subset). Never throws. */
export function parseYaml(text: string, file: string): DocumentResult {
  const lines = new Lines(text);
  const refused = (refusals: readonly Refusal[]): DocumentResult => ({
    ok: false,
    problems: refusals.map(({ offset, message }) =>
      unreadable({ file, ...lines.at(offset) }, message)
    ),
  });
  try {
    const excess = excessIn(text);
    if (excess !== null) return refused([excess]);
    const events = eventsOf(text);
    const second = secondDocument(text, events);
    if (second !== null) return refused([second]);
    const reader = new ValueReader(text, events, lines);
    const data = reader.read();
    if (reader.refusals.length > 0) return refused(reader.refusals);
    return { ok: true, document: new PlacedDocument(data, text, file) };
  } catch (error) {
    return refused([{ offset: offsetOf(error), message: explain(error) }]);
  }
}

/**
 * Whether there is too much of a text: the parser keeps some 100 bytes for each value, so that a
 * few megabytes of commas could exhaust the memory of the process, which no `catch` survives.
 */
function excessIn(text: string): Refusal | null {
  const message = `got more than ${MAX_SIGNS} line ends, dashes, commas and brackets, the limit`;
  let signs = 0;
  for (let offset = 0; offset < text.length; offset += 1) {
    switch (text.charCodeAt(offset)) {
      case 0x0a: // line ends
      case 0x0d:
      case 0x2c: // ,
      case 0x2d: // -
      case 0x3f: // ?
      case 0x5b: // [
      case 0x7b: // {
        signs += 1;
        if (signs > MAX_SIGNS) return { offset, message };
    }
  }
  return null;
}

function eventsOf(text: string): Event[] {
  return parseEvents(text, { maxDepth: MAX_DEPTH });
}

/** A line of this kind is never part of a scalar. */
const SEPARATOR = /(?<![^\n\r])(?:---|\.\.\.)(?!\S)/g;

function secondDocument(text: string, events: readonly Event[]): Refusal | null {
  if (events.findLastIndex(({ type }) => type === EVENT_ID.DOCUMENT) <= 0) return null;
  const [first] = events;
  const own = first.type === EVENT_ID.DOCUMENT && first.explicitStart ? 1 : 0;
  const separator = [...text.matchAll(SEPARATOR)].at(own);
  const [sign, offset] = [separator?.[0] ?? "---", separator?.index ?? 0];
  const remedy = `remove the "${sign}" line here and merge the two`;
  return { offset, message: `got a second document, expected one: ${remedy}` };
}

function offsetOf(error: unknown): number {
  return error instanceof YAMLException ? error.mark?.position ?? 0 : 0;
}

/** The library's words, except where they say too little to those who do not write parsers. */
const CLEARER: Readonly<Record<string, string>> = {
  "tab characters must not be used in indentation": "got a tab as indentation, expected spaces",
  "deficient indentation": "too little indentation, or a bracket or quote above is not closed",
  "bad indentation of a mapping entry": "bad indentation, or text that needs quotes",
  "bad indentation of a sequence entry": "bad indentation, or text that needs quotes",
  "end of the stream or a document separator is expected":
    "this belongs to nothing above it: check indentation, brackets and quotes",
};

function explain(error: unknown): string {
  if (!(error instanceof YAMLException)) {
    const isTooLong = error instanceof RangeError; // of the call stack or of a string
    return `not valid YAML: ${isTooLong ? "something in it is too long" : error}`;
  }
  if (error.reason.startsWith("nesting exceeded")) {
    return `lists and mappings are nested too deeply, the limit is ${MAX_DEPTH}`;
  }
  return `not valid YAML: ${CLEARER[error.reason] ?? error.reason}`;
}

class PlacedDocument implements Document {
  private places: Places | undefined;

  constructor(
    readonly data: unknown,
    private readonly text: string,
    private readonly file: string,
  ) {}

  locate(path: KeyPath): Location {
    this.places ??= new Places(this.text);
    return { file: this.file, ...this.places.at(path) };
  }

  has(path: KeyPath): boolean {
    let value = this.data;
    for (const step of path) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return false;
      value = (value as Record<string | number, unknown>)[step];
    }
    return true;
  }
}

/** Where everything in a text stands. */
class Places {
  private readonly lines: Lines;
  private readonly starts: Starts = new Map();
  private readonly data: unknown;
  private readonly offset: number;

  /** Of a text that could be read before. */
  constructor(text: string) {
    this.lines = new Lines(text);
    const reader = new ValueReader(text, eventsOf(text), this.lines, this.starts);
    this.data = reader.read();
    this.offset = reader.start;
  }

  /** Goes down as far as the text does. */
  at(path: KeyPath): { line: number; column: number } {
    let { data, offset } = this;
    for (const step of path) {
      const starts = this.starts.get(data);
      const start = Array.isArray(starts) ? starts[Number(step)] : starts?.get(String(step));
      if (start === undefined) break;
      offset = start;
      data = (data as Record<string | number, unknown>)[step];
    }
    return this.lines.at(offset);
  }
}
