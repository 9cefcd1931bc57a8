/** `--set key.path=value`: settings from the command line, over those of the file. */
import { parseYaml } from "./document.ts";
import { describeValue, formatKeyPath, type KeyPath, mismatch, type Problem } from "./problem.ts";
import { isUnsafeKey } from "./values.ts";

/** One override that was applied. */
export interface Override {
  readonly path: KeyPath;
  /** What stands in a problem's place of the file: `--set liveness.port=1`. */
  readonly label: string;
}

export interface Overridden {
  readonly data: unknown;
  readonly applied: readonly Override[];
  readonly problems: readonly Problem[];
}

const FORM = "key.path=value, such as liveness.port=44881 or routes[0].via=10.0.0.2";

/**
 * Applies overrides in order to a copy of the values. A value is read as YAML, so `true`, `3` and
 * `[10.0.0.1]` mean what they mean in the file. What cannot be applied is a problem and leaves the
 * values as they were; whether keys and values make sense is the validation's question.
 */
export function applyOverrides(data: unknown, overrides: readonly string[]): Overridden {
  const applied: Override[] = [];
  const problems: Problem[] = [];
  let values = data;
  for (const text of overrides) {
    const result = applyOne(values, text);
    if ("problems" in result) {
      problems.push(...result.problems);
    } else {
      values = result.data;
      applied.push(result.override);
    }
  }
  return { data: values, applied, problems };
}

type Outcome = { data: unknown; override: Override } | { problems: readonly Problem[] };

function applyOne(data: unknown, text: string): Outcome {
  const label = `--set ${text}`;
  const place = { file: label, line: null, column: null };
  const equals = text.indexOf("=");
  const path = equals < 0 ? null : parseKeyPath(text.slice(0, equals));
  if (path === null) {
    return { problems: [mismatch({ ...place, file: "--set" }, [], describeValue(text), FORM)] };
  }
  const unsafe = path.find(isUnsafeKey);
  if (unsafe !== undefined) {
    return { problems: [mismatch(place, path, `the key ${describeValue(unsafe)}`, "a setting")] };
  }
  const value = parseYaml(text.slice(equals + 1), label);
  if (!value.ok) return { problems: value.problems.map((problem) => ({ ...problem, ...place })) };
  try {
    return { data: withValue(data, path, 0, value.document.data), override: { path, label } };
  } catch (error) {
    if (!(error instanceof NoSuchPlace)) throw error;
    return { problems: [mismatch(place, error.path, error.given, error.expected)] };
  }
}

/** `routes[0].via` to its steps; `null` when malformed. */
function parseKeyPath(text: string): KeyPath | null {
  if (!/^[\w-]+(?:\.[\w-]+|\[\d{1,9}\])*$/.test(text)) return null;
  return [...text.matchAll(/\[(\d+)\]|([\w-]+)/g)]
    .map(([, index, key]) => index === undefined ? String(key) : Number(index));
}

/** The values have no place for an override. */
class NoSuchPlace extends Error {
  constructor(readonly path: KeyPath, readonly given: string, readonly expected: string) {
    super(formatKeyPath(path));
  }
}

/** A copy of `data` with one value replaced; parts beside the path are shared. */
function withValue(data: unknown, path: KeyPath, depth: number, value: unknown): unknown {
  const step = path[depth];
  if (step === undefined) return value;
  const at = path.slice(0, depth);
  if (typeof step === "number") {
    const list = data ?? [];
    if (!Array.isArray(list)) throw new NoSuchPlace(at, describeValue(data), "a list");
    if (step >= list.length) {
      const expected = `an entry of the list, which has ${list.length}`;
      throw new NoSuchPlace(path.slice(0, depth + 1), `entry ${step}`, expected);
    }
    return list.with(step, withValue(list[step], path, depth + 1, value));
  }
  const mapping = data ?? {};
  if (typeof mapping !== "object" || Array.isArray(mapping)) {
    throw new NoSuchPlace(at, describeValue(data), `a mapping, to set ${step} in it`);
  }
  const inner = Object.hasOwn(mapping, step)
    ? (mapping as Record<string, unknown>)[step]
    : undefined;
  return { ...mapping, [step]: withValue(inner, path, depth + 1, value) };
}
