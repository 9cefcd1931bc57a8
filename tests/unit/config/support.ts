import { assert, fail } from "@std/assert";
import type { Config } from "../../../src/config/config.ts";
import { BUILTIN_NAMES } from "../../../src/config/iproute2_names.ts";
import { loadConfig, type LoadOptions } from "../../../src/config/load.ts";
import { formatProblem, formatProblems } from "../../../src/config/problem.ts";

export const OPTIONS: LoadOptions = { names: BUILTIN_NAMES, programVersion: "0.1.0" };

/** Loads a text that must be accepted. */
export function accepted(text: string, options: Partial<LoadOptions> = {}): Config {
  const result = loadConfig(text, "t.yaml", { ...OPTIONS, ...options });
  if (!result.ok) fail(formatProblems(result.problems));
  return result.config;
}

/** Loads a text that must be refused; its problems as they are printed. */
export function refused(text: string, options: Partial<LoadOptions> = {}): string[] {
  const result = loadConfig(text, "t.yaml", { ...OPTIONS, ...options });
  assert(!result.ok, `accepted: ${text}`);
  return result.problems.map(formatProblem);
}

/** Loads a text that must be accepted; its warnings as they are printed. */
export function warned(text: string): string[] {
  const result = loadConfig(text, "t.yaml", OPTIONS);
  if (!result.ok) fail(formatProblems(result.problems));
  return result.warnings.map(formatProblem);
}

/** A route's YAML in one line, with some keys changed; `null` leaves a key out. */
export function route(changes: Record<string, string | number | null> = {}): string {
  const keys = { dst: "10.1.0.1/32", via: "10.0.0.2", dev: "tun0", src: "10.0.0.1", ...changes };
  const pairs = Object.entries(keys).filter(([, value]) => value !== null);
  return `  - {${pairs.map(([key, value]) => `${key}: ${value}`).join(", ")}}`;
}

/** A file of routes, one a line from line 2 on. */
export function routes(...lines: string[]): string {
  return ["routes:", ...lines, ""].join("\n");
}
