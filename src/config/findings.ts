import {
  describeValue,
  formatKeyPath,
  type KeyPath,
  type Location,
  mismatch,
  type Problem,
} from "./problem.ts";

/** Values and where each of them came from. */
export interface Source {
  readonly data: unknown;
  /** Where a key stands, or the nearest thing that holds it. */
  locate(path: KeyPath): Location;
}

/** The value at a path; `undefined` where there is none. */
export function valueAt(data: unknown, path: KeyPath): unknown {
  let value = data;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.hasOwn(value, step)
      ? (value as Record<string | number, unknown>)[step]
      : undefined;
  }
  return value;
}

/** How a problem deviates from "got the value at its path". */
export interface FindingOptions {
  readonly given?: string;
  readonly remark?: string | undefined;
}

/** Collects problems and warnings; each is placed by its key path. */
export class Findings {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  private readonly refused = new Set<string>();

  constructor(readonly source: Source) {}

  /** The value at `path` must change before this configuration can be used. */
  refuse(path: KeyPath, expected: string, options: FindingOptions = {}): void {
    this.refused.add(formatKeyPath(path));
    this.problems.push(this.finding(path, expected, options));
  }

  /** The value at `path` works, but hardly as its author expects. */
  warn(path: KeyPath, expected: string, options: FindingOptions = {}): void {
    this.warnings.push(this.finding(path, expected, options));
  }

  /** Takes over what was found elsewhere, e.g. in a second file. */
  add(problems: readonly Problem[]): void {
    this.problems.push(...problems);
  }

  /** Whether there is a problem with exactly this path. */
  isRefused(path: KeyPath): boolean {
    return this.refused.has(formatKeyPath(path));
  }

  /** Where a key stands, for a remark on another one: `line 12`. */
  placeOf(path: KeyPath): string {
    const { file, line } = this.source.locate(path);
    return line === null ? file : `line ${line}`;
  }

  /** A value as given, or the default that stands for it: that one is nowhere in the file. */
  givenOrDefault(path: KeyPath, fallback: string): string {
    const written = valueAt(this.source.data, path);
    return written === undefined ? `${fallback}, the default` : describeValue(written);
  }

  private finding(path: KeyPath, expected: string, options: FindingOptions): Problem {
    const given = options.given ?? describeValue(valueAt(this.source.data, path));
    return mismatch(this.source.locate(path), path, given, expected, options.remark);
  }
}

/** Ordered as one reads the file; what came from the command line last. */
export function inReadingOrder(problems: readonly Problem[]): Problem[] {
  const line = (problem: Problem) => problem.line ?? Infinity;
  return problems.toSorted((a, b) =>
    compare(line(a), line(b)) || compare(a.column ?? 0, b.column ?? 0)
  );
}

/** Unlike a subtraction, right for two infinities. */
function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
