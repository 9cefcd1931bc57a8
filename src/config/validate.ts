/** Runs a schema over values and words what it finds, with hints taken from the schema itself. */
import * as v from "valibot";
import { REMARK } from "./fields.ts";
import type { Findings } from "./findings.ts";
import { nearest } from "./nearest.ts";
import { describeValue, type KeyPath } from "./problem.ts";

/** A `T` of which every part may be missing, because it was refused. */
export type Draft<T> = T extends readonly (infer U)[] ? (Draft<U> | undefined)[]
  : T extends object ? { [K in keyof T]?: Draft<T[K]> | undefined }
  : T;

/** What a schema made of the values. */
export interface Validation<T> {
  /** Complete values; `null` when there was a problem. */
  readonly values: T | null;
  /** What is right among them, so that further checks can go on and all problems show at once. */
  readonly draft: Draft<T>;
}

type Issue = v.GenericIssue;

/** Validates the findings' source; at most one problem for each key path. */
export function validate<S extends v.GenericSchema>(
  schema: S,
  findings: Findings,
): Validation<v.InferOutput<S>> {
  const result = v.safeParse(schema, withoutMisplacedLists(schema, findings.source.data));
  if (result.success) {
    return { values: result.output, draft: result.output as Draft<v.InferOutput<S>> };
  }
  const root = { draft: result.output as unknown };
  for (const issue of result.issues) {
    const path = pathOf(issue);
    if (findings.isRefused(path)) continue;
    explain(schema, issue, path, findings);
    remove(root, ["draft", ...path]);
  }
  return { values: null, draft: (root.draft ?? {}) as Draft<v.InferOutput<S>> };
}

/** The library takes a list for a mapping with the keys 0, 1, …; give it what it takes for neither. */
function withoutMisplacedLists(schema: v.GenericSchema, data: unknown): unknown {
  if (typeof data !== "object" || data === null) return data;
  const { entries, item } = unwrap(schema);
  if (Array.isArray(data)) {
    if (entries !== undefined) return NaN;
    return item === undefined ? data : data.map((each) => withoutMisplacedLists(item, each));
  }
  let mapping = data as Record<string, unknown>; // copied only where something must change
  for (const key in entries) {
    const clean = withoutMisplacedLists(entries[key], mapping[key]);
    if (!Object.is(clean, mapping[key])) mapping = { ...mapping, [key]: clean };
  }
  return mapping;
}

function pathOf(issue: Issue): KeyPath {
  return (issue.path ?? []).map(({ key }) => typeof key === "number" ? key : String(key));
}

function explain(root: v.GenericSchema, issue: Issue, path: KeyPath, findings: Findings): void {
  if (issue.type === "never") return explainUnknownKey(root, path, findings);
  const schema = schemaAt(root, path);
  const [expected = "", remark] = expectation(schema, issue).split(REMARK);
  findings.refuse(path, expected, { remark: remark ?? quotingHint(schema, issue) });
}

/** For a missing key the library quotes the mapping's message; the key's own is wanted. */
function expectation(schema: v.GenericSchema | undefined, issue: Issue): string {
  if (issue.input !== undefined || schema === undefined) return issue.message;
  return v.safeParse(schema, undefined).issues?.[0]?.message ?? issue.message;
}

/** YAML reads `12` and `true` as no text: say what the same in quotes would be. */
function quotingHint(schema: v.GenericSchema | undefined, issue: Issue): string | undefined {
  if (schema === undefined || !["number", "boolean"].includes(typeof issue.input)) return undefined;
  const quoted = String(issue.input);
  const result = v.safeParse(schema, quoted);
  if (result.success) return `quote it: ${JSON.stringify(quoted)}`;
  return result.issues[0].message.split(REMARK)[1];
}

function explainUnknownKey(root: v.GenericSchema, path: KeyPath, findings: Findings): void {
  const key = String(path.at(-1));
  const known = Object.keys(entriesOf(schemaAt(root, path.slice(0, -1))));
  const near = nearest(key, known);
  const remark = near === undefined ? homeOf(root, key) : `did you mean "${near}"?`;
  findings.refuse(path, `one of ${known.join(", ")}`, {
    given: `the unknown key ${describeValue(key)}`,
    remark,
  });
}

/** A known key in the wrong place. */
function homeOf(root: v.GenericSchema, key: string): string | undefined {
  const sections = Object.entries(entriesOf(root))
    .filter(([, section]) => Object.hasOwn(entriesOf(unwrap(section)), key))
    .map(([name]) => name);
  return sections.length === 0 ? undefined : `${key} belongs under ${sections.join(" or ")}`;
}

/** The schema of what stands at a path; `undefined` below an unknown key. */
export function schemaAt(root: v.GenericSchema, path: KeyPath): v.GenericSchema | undefined {
  let schema: v.GenericSchema | undefined = root;
  for (const step of path) {
    const inner: Inner | undefined = schema === undefined ? undefined : unwrap(schema);
    schema = typeof step === "number" ? inner?.item : entriesOf(inner)[step];
  }
  return schema;
}

/** The library's own properties of the schemas that contain others. */
interface Inner extends v.GenericSchema {
  readonly entries?: Readonly<Record<string, v.GenericSchema>>;
  readonly item?: v.GenericSchema;
  readonly wrapped?: v.GenericSchema;
}

function unwrap(schema: v.GenericSchema): Inner {
  const { wrapped } = schema as Inner;
  return wrapped === undefined ? schema : unwrap(wrapped);
}

/** The keys of a mapping's schema; none for other schemas. */
export function entriesOf(schema: v.GenericSchema | undefined): Record<string, v.GenericSchema> {
  return schema === undefined ? {} : { ...unwrap(schema).entries };
}

/** Takes a value out of freshly made containers; list entries leave a gap, to keep the indices. */
function remove(root: unknown, path: KeyPath): void {
  let holder = root;
  for (const step of path.slice(0, -1)) {
    if (typeof holder !== "object" || holder === null) return;
    holder = (holder as Record<string | number, unknown>)[step];
  }
  if (typeof holder !== "object" || holder === null) return;
  (holder as Record<string | number, unknown>)[path.at(-1) ?? ""] = undefined;
}
