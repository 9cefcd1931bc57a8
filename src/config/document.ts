/**
 * YAML text to plain values that remember where they stood.
 *
 * The tree is turned into values here rather than by the library's `toJS`, because one walk then also finds
 * duplicate keys, bounds what aliases expand to, and indexes the keys for {@link Document.locate}, all in
 * linear time whatever the text.
 */
import {
  type Alias,
  type Document as YamlDocument,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import { findExcess, MAX_TOKENS } from "./excess.ts";
import { type KeyPath, type Location, type Problem, unreadable } from "./problem.ts";

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

/** Far more keys than any mapping of ours has: more is some other kind of file. */
const MAX_KEYS = 1_000;

/** One mistake in the syntax makes many of the lines below it look wrong. */
const MAX_SYNTAX_PROBLEMS = 10;

const TOO_DEEP = "not valid YAML: lists and mappings are nested too deeply";

const UNSAFE_KEYS = new Set<unknown>(["__proto__", "prototype", "constructor"]);

/** Validation libraries skip these names as unsafe, which would hide them from the operator. */
export function isUnsafeKey(key: unknown): boolean {
  return UNSAFE_KEYS.has(key);
}

/** Reads one YAML 1.2 document (JSON is a subset). Never throws. */
export function parseYaml(text: string, file: string): DocumentResult {
  const lines = new LineCounter();
  const placeOf = (offset: number | undefined): Location => {
    const at = offset === undefined ? { line: null, col: null } : lines.linePos(offset);
    return { file, line: at.line, column: at.col };
  };
  try {
    const excess = findExcess(text);
    if (excess !== null) {
      const place = { file, line: excess.line, column: null };
      return { ok: false, problems: [unreadable(place, excess.message)] };
    }
    const parsed = parseDocument(text, {
      lineCounter: lines,
      logLevel: "error",
      prettyErrors: false,
      schema: "core",
      uniqueKeys: false, // quadratic in the library; the walk below finds them all, with both places
      version: "1.2",
    });
    const problems = [...parsed.errors, ...parsed.warnings]
      .sort((a, b) => a.pos[0] - b.pos[0])
      .slice(0, MAX_SYNTAX_PROBLEMS)
      .map((error) => unreadable(placeOf(error.pos[0]), explain(error)));
    if (problems.length > 0) return { ok: false, problems };
    const walk = new Walk(placeOf);
    const data = walk.value(parsed.contents);
    if (walk.problems.length > 0) return { ok: false, problems: walk.problems };
    return { ok: true, document: new PlacedDocument(data, parsed, walk, placeOf) };
  } catch (error) {
    // The library's and our own recursion end on the stack's limit, far beyond any real nesting.
    const why = error instanceof RangeError ? TOO_DEEP : `not valid YAML: ${error}`;
    return { ok: false, problems: [unreadable(placeOf(undefined), why)] };
  }
}

/** The library's words, except where they speak to programmers. */
function explain(error: YAMLError): string {
  switch (error.code) {
    case "MULTIPLE_DOCS":
      return 'got a second document, expected one: remove the "---" line here and merge the two';
    case "TAB_AS_INDENT":
      return "not valid YAML: got a tab as indentation, expected spaces";
    default:
      if (/call stack/.test(error.message)) return TOO_DEEP;
      return `not valid YAML: ${error.message}`;
  }
}

class PlacedDocument implements Document {
  constructor(
    readonly data: unknown,
    private readonly parsed: YamlDocument.Parsed,
    private readonly walk: Walk,
    private readonly placeOf: (offset: number | undefined) => Location,
  ) {}

  locate(path: KeyPath): Location {
    return this.placeOf(this.descend(path).offset);
  }

  has(path: KeyPath): boolean {
    return this.descend(path).steps === path.length;
  }

  /** Goes down as far as the text does. */
  private descend(path: KeyPath): { offset: number | undefined; steps: number } {
    let node: unknown = this.parsed.contents;
    let offset = startOf(node);
    let steps = 0;
    for (const step of path) {
      if (isAlias(node)) node = this.walk.targets.get(node);
      if (isMap(node)) {
        const pair = this.walk.pairs.get(node)?.get(String(step));
        if (pair === undefined) break;
        offset = startOf(pair.key) ?? startOf(pair.value) ?? offset;
        node = pair.value;
      } else if (isSeq(node) && typeof step === "number" && step < node.items.length) {
        node = node.items[step];
        offset = startOf(node) ?? offset;
      } else break;
      steps += 1;
    }
    return { offset, steps };
  }
}

/** One pass over the tree, in the order of the text. */
class Walk {
  readonly problems: Problem[] = [];
  readonly pairs = new Map<YAMLMap, Map<string, Pair>>();
  readonly targets = new Map<Alias, Node>();
  private readonly anchors = new Map<string, Node>();
  private readonly built = new Map<Node, { value: unknown; size: number }>();
  private size = 0;

  constructor(private readonly placeOf: (offset: number | undefined) => Location) {}

  value(node: unknown): unknown {
    this.size += 1;
    if (isAlias(node)) return this.aliased(node);
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return null;
    if (node.anchor !== undefined) this.anchors.set(node.anchor, node);
    const before = this.size;
    const value = isScalar(node) ? node.value : isMap(node) ? this.mapping(node) : this.list(node);
    if (node.anchor !== undefined) this.built.set(node, { value, size: this.size - before });
    return value;
  }

  /** An alias yields the value its anchor had; it counts as large as what it stands for. */
  private aliased(alias: Alias): unknown {
    const target = this.anchors.get(alias.source);
    const built = target === undefined ? undefined : this.built.get(target);
    if (target === undefined || built === undefined) {
      this.refuse(alias, `the alias *${alias.source} stands for something that contains it`);
      return null;
    }
    const before = this.size;
    this.size += built.size;
    if (before <= MAX_TOKENS && this.size > MAX_TOKENS) {
      this.refuse(alias, `aliases expand to more than ${MAX_TOKENS} values, the limit`);
    }
    this.targets.set(alias, target);
    return built.value;
  }

  private list(node: { items: unknown[] }): unknown[] {
    return node.items.map((item) => this.value(item));
  }

  private mapping(node: YAMLMap): Record<string, unknown> {
    const pairs = new Map<string, Pair>();
    const entries: Record<string, unknown> = {};
    this.pairs.set(node, pairs);
    if (node.items.length > MAX_KEYS) {
      const count = node.items.length;
      this.refuse(node, `got a mapping of ${count} keys, expected at most ${MAX_KEYS}`);
      return {};
    }
    for (const pair of node.items) {
      const key = this.key(pair, pairs);
      const value = this.value(pair.value);
      if (key !== null) entries[key] = value;
    }
    return entries;
  }

  /** The key's text, registered; `null` when it was refused. */
  private key({ key: node, value }: Pair, pairs: Map<string, Pair>): string | null {
    if (!isScalar(node) || node.value === null) {
      this.refuse(node ?? value, "got a key that is no text, expected the name of a setting");
      return null;
    }
    const key = String(node.value);
    const first = pairs.get(key);
    if (first !== undefined) {
      const { line } = this.placeOf(startOf(first.key));
      this.refuse(
        node,
        `got the key ${JSON.stringify(key)} again, expected it once (line ${line})`,
      );
      return null;
    }
    if (isUnsafeKey(key)) {
      this.refuse(node, `got the key ${JSON.stringify(key)}, which is no setting`);
      return null;
    }
    pairs.set(key, { key: node, value } as Pair);
    return key;
  }

  private refuse(node: unknown, message: string): void {
    this.problems.push(unreadable(this.placeOf(startOf(node)), message));
  }
}

function startOf(node: unknown): number | undefined {
  if (isScalar(node) || isAlias(node) || isMap(node) || isSeq(node)) return node.range?.[0];
  return undefined;
}
