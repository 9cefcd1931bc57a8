import { readIproute2Names } from "../config/iproute2_names.ts";
import { jsonSchema } from "../config/json_schema.ts";
import { loadConfig, type LoadResult } from "../config/load.ts";
import { formatProblem, formatProblems } from "../config/problem.ts";
import { readConfig } from "../config/read.ts";
import { escapeControls } from "../observe/escape.ts";
import { CliError, Exit } from "./exit.ts";
import type { CliIo } from "./io.ts";
import { VERSION } from "./version.ts";

/** Where the configuration is unless `-c` says otherwise. */
export const DEFAULT_CONFIG = "/etc/livenessd/livenessd.yaml";

/** What `run` and `check` are given. */
export interface ConfigArguments {
  readonly file: string;
  /** `key.path=value` each. */
  readonly overrides: readonly string[];
}

type Loaded = Extract<LoadResult, { ok: true }>;

/**
 * Reads the configuration.
 * @throws {CliError} status 2 with every problem
 */
export function loadOrRefuse({ file, overrides }: ConfigArguments): Loaded {
  const names = readIproute2Names();
  return accepted(readConfig(file, { names, programVersion: VERSION, overrides }));
}

/**
 * Reads the configuration; where there is no such file, all is as by default.
 * @throws {CliError} status 2 with every problem
 */
export function loadOrDefaults(given: ConfigArguments): Loaded & { readonly missing: boolean } {
  if (exists(given.file)) return { ...loadOrRefuse(given), missing: false };
  const { overrides } = given;
  const names = readIproute2Names();
  const result = loadConfig("{}", given.file, { names, programVersion: VERSION, overrides });
  return { ...accepted(result), missing: true };
}

function accepted(result: LoadResult): Loaded {
  if (result.ok) return result;
  const text = formatProblems([...result.problems, ...result.warnings]);
  const count = result.problems.length;
  throw new CliError(Exit.usage, `${text}\n${plural(count, "problem")}`, { bare: true });
}

function exists(file: string): boolean {
  try {
    Deno.lstatSync(file);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** `check`: what is wrong with a configuration, or how much is in it. */
export async function checkConfig(io: CliIo, given: ConfigArguments): Promise<void> {
  const { config, warnings } = loadOrRefuse(given);
  for (const warning of warnings) {
    await io.err(`warning: ${escapeControls(formatProblem(warning))}\n`);
  }
  const sessions = new Set(config.routes.map((r) => `${r.dev} ${r.src} ${r.probe}`)).size;
  const counts = `${plural(config.routes.length, "route")}, ${plural(sessions, "session")}`;
  await io.out(`${escapeControls(given.file)}: ok, ${counts}\n`);
}

/** `schema`: the JSON Schema of the configuration file. */
export async function printSchema(io: CliIo): Promise<void> {
  await io.out(JSON.stringify(jsonSchema(), null, 2) + "\n");
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}
