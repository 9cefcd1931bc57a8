/** What is wrong with a configuration, for people and for programs. */
export interface Problem {
  /** The file, or `--set key.path=value` for what came from the command line. */
  readonly file: string;
  /** 1-based; `null` when the problem has no place in the text. */
  readonly line: number | null;
  /** 1-based; `null` when the problem has no place in the text. */
  readonly column: number | null;
  /** Key path, e.g. `routes[0].via`; empty when the problem is the file itself. */
  readonly key: string;
  /** What was given, in words or as JSON; `null` when the text could not be read that far. */
  readonly given: string | null;
  /** What is allowed; `null` when the text could not be read that far. */
  readonly expected: string | null;
  /** The sentence without its place: `got …, expected …`. */
  readonly message: string;
}

/** Where something stands: in a file, or on the command line (then without line and column). */
export interface Location {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
}

/** One step per key or list index. */
export type KeyPath = readonly (string | number)[];

/** `livenessd.yaml:12:5: routes[0].via: got "10.0.0", expected an IPv4 address such as 10.0.0.2` */
export function formatProblem(problem: Problem): string {
  const at = [problem.file, problem.line, problem.column].filter((part) => part !== null).join(":");
  return [at, problem.key, problem.message].filter((part) => part !== "").join(": ");
}

/** One problem a line; past `limit`, a last line that counts the rest. */
export function formatProblems(problems: readonly Problem[], limit = 100): string {
  const lines = problems.slice(0, limit).map(formatProblem);
  if (problems.length > limit) lines.push(`... and ${problems.length - limit} more problems`);
  return lines.join("\n");
}

/** `["routes", 0, "via"]` as `routes[0].via`; unusual keys are quoted. */
export function formatKeyPath(path: KeyPath): string {
  return path.map((step, index) => {
    if (typeof step === "number") return `[${step}]`;
    if (!/^[\w-]+$/.test(step)) return `[${JSON.stringify(shorten(step))}]`;
    return index === 0 ? step : `.${step}`;
  }).join("");
}

/** A value as a problem shows it: JSON for scalars, words for the rest, never long. */
export function describeValue(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "string") return JSON.stringify(shorten(value));
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "a mapping";
  return String(value);
}

function shorten(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

/** A problem of the form `got …, expected …`, with an optional remark in parentheses. */
export function mismatch(
  at: Location,
  path: KeyPath,
  given: string,
  expected: string,
  remark?: string,
): Problem {
  const message = `got ${given}, expected ${expected}${remark === undefined ? "" : ` (${remark})`}`;
  return { ...placed(at), key: formatKeyPath(path), given, expected, message };
}

/** A problem of the text itself, before there are keys and values. */
export function unreadable(at: Location, message: string): Problem {
  return { ...placed(at), key: "", given: null, expected: null, message };
}

function placed({ file, line, column }: Location): Location {
  return { file, line, column };
}
