/**
 * The parser's events to plain values, in one pass that also finds what no configuration may contain.
 *
 * It stands in for the library's own construction, which stops at the first duplicate key, follows aliases
 * without bound and does not tell where anything stood.
 */
import {
  type AliasEvent,
  CORE_SCHEMA,
  type Event,
  EVENT_ID,
  getScalarValue,
  type MappingEvent,
  NOT_RESOLVED,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
} from "js-yaml";
import type { Lines } from "./lines.ts";
import { describeValue } from "./problem.ts";

/** Far more keys than any mapping of ours has: more is some other kind of file. */
const MAX_KEYS = 1_000;

/** Keys and values that aliases may expand to. */
const MAX_VALUES = 1_000_000;

const UNSAFE_KEYS = new Set<unknown>(["__proto__", "prototype", "constructor"]);

/** Validation libraries skip these names as unsafe, which would hide them from the operator. */
export function isUnsafeKey(key: unknown): boolean {
  return UNSAFE_KEYS.has(key);
}

const SCALAR_TAGS = CORE_SCHEMA.tags.filter((tag) => tag.nodeKind === "scalar");

/** Something that cannot be a configuration, and where it stands. */
export interface Refusal {
  readonly offset: number;
  readonly message: string;
}

/** What an anchor names; `open` as long as it is being read. */
interface Target {
  value: unknown;
  size: number;
  open: boolean;
}

/** For each mapping and list that was read: where its keys or entries start. */
export type Starts = Map<unknown, Map<string, number> | number[]>;

/** Reads the events of one document. */
export class ValueReader {
  readonly refusals: Refusal[] = [];
  private next = 1; // behind the event of the document itself
  private end = 0; // of the latest thing in the text that had one
  private size = 0;
  private readonly anchors = new Map<string, Target>();
  // What is written often is one value and one string.
  private readonly plain = new Map<string, unknown>();
  private readonly quoted = new Map<string, unknown>();

  /** Fills in `starts` when it is given. */
  constructor(
    private readonly text: string,
    private readonly events: readonly Event[],
    private readonly lines: Lines,
    private readonly starts?: Starts,
  ) {}

  /** The document's value; `null` for a text without one. */
  read(): unknown {
    return this.events.length === 0 ? null : this.value();
  }

  /** Where the document's value starts. */
  get start(): number {
    return this.events.length === 0 ? 0 : startOf(this.events[1]) ?? 0;
  }

  private value(): unknown {
    const event = this.events[this.next++];
    this.size += 1;
    if (event.type === EVENT_ID.ALIAS) return this.aliased(event);
    if (event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.POP) return null;
    if (event.anchorStart < 0) return this.content(event);
    const anchor = this.text.slice(event.anchorStart, event.anchorEnd);
    const before = this.size;
    const target: Target = { value: undefined, size: 0, open: true };
    this.anchors.set(anchor, target);
    target.value = this.content(event);
    target.size = this.size - before;
    target.open = false;
    return target.value;
  }

  private content(event: ScalarEvent | SequenceEvent | MappingEvent): unknown {
    if (event.type === EVENT_ID.SCALAR) return this.scalar(event);
    this.end = event.start + 1;
    return event.type === EVENT_ID.SEQUENCE ? this.list(event) : this.mapping(event);
  }

  /** An alias yields the value its anchor had; it counts as large as what it stands for. */
  private aliased({ anchorStart, anchorEnd }: AliasEvent): unknown {
    this.end = anchorEnd;
    const name = this.text.slice(anchorStart, anchorEnd);
    const target = this.anchors.get(name);
    if (target === undefined || target.open) {
      const why = target === undefined ? "no anchor before it" : "something that contains it";
      this.refuse(anchorStart - 1, `the alias ${describeValue(name)} stands for ${why}`);
      return null;
    }
    const before = this.size;
    this.size += target.size;
    if (before <= MAX_VALUES && this.size > MAX_VALUES) {
      const message = `aliases expand to more than ${MAX_VALUES} values, the limit`;
      this.refuse(anchorStart - 1, message);
    }
    return target.value;
  }

  private list(event: SequenceEvent): unknown[] {
    this.checkTag(event, "!!seq");
    this.end = event.start; // the dash of the first entry
    const items: unknown[] = [];
    const starts: number[] = [];
    while (this.events[this.next].type !== EVENT_ID.POP) {
      starts.push(this.startOfEntry());
      items.push(this.value());
    }
    this.next += 1;
    this.starts?.set(items, starts);
    return items;
  }

  private mapping(event: MappingEvent): Record<string, unknown> {
    this.checkTag(event, "!!map");
    const entries: Record<string, unknown> = {};
    const starts = new Map<string, number>();
    let count = 0;
    while (this.events[this.next].type !== EVENT_ID.POP) {
      count += 1;
      const key = count <= MAX_KEYS ? this.key(starts) : this.value();
      const value = this.value();
      if (count <= MAX_KEYS && typeof key === "string") entries[key] = value;
    }
    this.next += 1;
    this.starts?.set(entries, starts);
    if (count > MAX_KEYS) {
      this.refuse(event.start, `got a mapping of ${count} keys, expected at most ${MAX_KEYS}`);
    }
    return entries;
  }

  /** The key's text, registered; `null` when it was refused. */
  private key(starts: Map<string, number>): string | null {
    const event = this.events[this.next];
    const start = startOf(event) ?? this.end;
    const value = this.value();
    if (event.type !== EVENT_ID.SCALAR || value === null) {
      this.refuse(start, "got a key that is no text, expected the name of a setting");
      return null;
    }
    const key = String(value);
    const first = starts.get(key);
    if (first !== undefined) {
      const { line } = this.lines.at(first);
      this.refuse(
        start,
        `got the key ${describeValue(key)} again, expected it once (line ${line})`,
      );
      return null;
    }
    if (isUnsafeKey(key)) {
      this.refuse(start, `got the key ${describeValue(key)}, which is no setting`);
      return null;
    }
    starts.set(key, start);
    return key;
  }

  private scalar(event: ScalarEvent): unknown {
    this.end = Math.max(this.end, event.valueEnd, event.anchorEnd, event.tagEnd);
    const text = getScalarValue(this.text, event);
    if (event.tagStart >= 0) return this.tagged(event, text);
    const isPlain = event.style === SCALAR_STYLE.PLAIN;
    const known = isPlain ? this.plain : this.quoted;
    let value = known.get(text);
    if (value === undefined) {
      const own = copyOf(text);
      value = isPlain ? resolve(own) : own;
      known.set(own, value);
    }
    return value;
  }

  private tagged(event: ScalarEvent, text: string): unknown {
    const tag = this.tagOf(event);
    if (tag === "!") return copyOf(text);
    const known = SCALAR_TAGS.find(({ tagName }) => tagName === tag.replace("!!", CORE_PREFIX));
    const value = known === undefined ? NOT_RESOLVED : known.resolve(text, true, known.tagName);
    if (value !== NOT_RESOLVED) return typeof value === "string" ? copyOf(value) : value;
    this.refuseTag(event);
    return text;
  }

  private checkTag(event: SequenceEvent | MappingEvent, own: string): void {
    const tag = this.tagOf(event);
    if (tag !== "" && tag !== "!" && tag !== own) this.refuseTag(event);
  }

  private refuseTag(event: ScalarEvent | SequenceEvent | MappingEvent): void {
    const tag = describeValue(this.tagOf(event));
    this.refuse(event.tagStart, `got the tag ${tag}, which is unknown or does not fit here`);
  }

  private tagOf({ tagStart, tagEnd }: ScalarEvent | SequenceEvent | MappingEvent): string {
    return tagStart < 0 ? "" : this.text.slice(tagStart, tagEnd);
  }

  /** An entry with nothing in it stands at its dash: the next sign that closes nothing, outside comments. */
  private startOfEntry(): number {
    const start = startOf(this.events[this.next]);
    if (start !== undefined || this.starts === undefined) return start ?? this.end;
    const signs = /#.*|[^\s\]}'"]/g;
    signs.lastIndex = this.end;
    let sign = signs.exec(this.text);
    while (sign?.[0].startsWith("#")) sign = signs.exec(this.text);
    this.end = signs.lastIndex;
    return sign?.index ?? this.end;
  }

  private refuse(offset: number, message: string): void {
    this.refusals.push({ offset, message });
  }
}

const CORE_PREFIX = "tag:yaml.org,2002:";

/** What a plain scalar stands for: `null`, a boolean or a number, otherwise itself. */
function resolve(text: string): unknown {
  for (const tag of SCALAR_TAGS) {
    const value = tag.implicit ? tag.resolve(text, false, tag.tagName) : NOT_RESOLVED;
    if (value !== NOT_RESOLVED) return value;
  }
  return text;
}

/** V8 makes a part of a text a mere view of it, which would keep the whole file alive. */
function copyOf(part: string): string {
  return JSON.parse(JSON.stringify(part));
}

/** Where a key, value or alias begins; `undefined` when it is not written. */
function startOf(event: Event): number | undefined {
  switch (event.type) {
    case EVENT_ID.SCALAR: {
      if (event.valueStart < 0) return undefined;
      const { SINGLE_QUOTED, DOUBLE_QUOTED } = SCALAR_STYLE;
      const isQuoted = event.style === SINGLE_QUOTED || event.style === DOUBLE_QUOTED;
      return isQuoted ? event.valueStart - 1 : event.valueStart;
    }
    case EVENT_ID.ALIAS:
      return event.anchorStart - 1;
    case EVENT_ID.SEQUENCE:
    case EVENT_ID.MAPPING:
      return event.start;
  }
}
