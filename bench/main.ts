/**
 * The performance suite: `deno task bench`, `deno task bench --full`. livenessd runs alternately with others against
 * the same light peers; ratios are the results, absolute times are context. Needs root.
 */
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { type ContestantKey, contestants } from "./contestants.ts";
import { guard } from "./guard.ts";
import { build, compile, type Given, machine } from "./programs.ts";
import { type Entry, readResults, type TableData, type Verdict, writeEntry } from "./results.ts";
import type { Scenario, Suite } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";

interface Options extends Given {
  full?: true;
  scenarios?: Scenario[];
  only?: ContestantKey[];
  rounds?: number;
  seconds?: number;
  hold?: number;
  nice: number;
  out: string;
}

const root = new URL("..", import.meta.url).pathname;
const baselineFile = `${root}bench/results/baseline.json`;
const keys = Object.keys(contestants) as ContestantKey[];

function integer(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= from && value <= to) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`);
  };
}

/** Some of `all`, by name, separated by commas. */
function some<T>(all: readonly T[], nameOf: (item: T) => string): (text: string) => T[] {
  return (text) => {
    const chosen = text.split(",");
    const names = all.map(nameOf);
    const unknown = chosen.filter((name) => !names.includes(name));
    if (unknown.length === 0) return all.filter((item) => chosen.includes(nameOf(item)));
    throw new InvalidArgumentError(
      `Unknown: ${unknown.join(", ")}. There are: ${names.join(", ")}.`,
    );
  };
}

function readOptions(): Options {
  const names = scenarios.map(({ name }) => name);
  return new Command("bench")
    .description(
      "Measures livenessd beside BIRD 2, a floor and others, in network namespaces. Needs root.",
    )
    .option("--full", "everything, thoroughly: about an hour")
    .option(
      "--scenarios <names>",
      `some of ${names.join(",")}`,
      some(scenarios, ({ name }) => name),
    )
    .option("--only <names>", `some of ${keys.join(",")}`, some(keys, (key) => key))
    .option("--rounds <n>", "rounds in which every contestant runs once", integer(1, 100))
    .option("--seconds <s>", "length of a steady window", integer(1, 3600))
    .option("--hold <s>", "how long 30,000 sessions are kept", integer(1, 86_400))
    .option(
      "--nice <n>",
      "priority of all that is measured, for a machine that others use too",
      integer(-20, 19),
      0,
    )
    .option("--livenessd <path>", "an executable to measure, instead of compiling these sources")
    .option(
      "--reference <path>",
      "the reference joins: started with LOCAL_ADDRESS PORT PEERS INTERVAL_MS NEXT_HOP DEV",
    )
    .option("--frr <folder>", "FRR joins: the folder of its zebra and bfdd")
    .option("--out <file>", "where the results go, as JSON", `${root}bench/results/latest.json`)
    .helpOption("--help")
    .parse(Deno.args, { from: "user" })
    .opts<Options>();
}

/** All who can take part; says who cannot, and why. */
function present(options: Options): ContestantKey[] {
  const lacking = (["reference", "frr"] as const).filter((key) => options[key] === undefined);
  for (const key of lacking) {
    if (options.only?.includes(key)) throw new Error(`--only ${key} needs --${key} PATH`);
    console.error(`${contestants[key].name} is left out: --${key} PATH is not given`);
  }
  return (options.only ?? keys).filter((key) => !lacking.some((lack) => lack === key));
}

async function main(options: Options, directory: string, signal: AbortSignal): Promise<boolean> {
  const full = options.full === true;
  const chosen = options.scenarios ?? scenarios.filter(({ quick }) => quick || full);
  const among = present(options);
  const programs = await build(directory, root, among, options);
  const suite: Suite = {
    programs,
    signal,
    nice: options.nice,
    full,
    contestants: among,
    compile: (v8Flags) => compile(root, directory, v8Flags),
    rounds: options.rounds ?? (full ? 5 : 3),
    windowMs: 1000 * (options.seconds ?? (full ? 20 : 10)),
    holdMs: 1000 * (options.hold ?? (full ? 600 : 120)),
    say: (text) => console.error(`  ${text}`),
  };
  const baseline = await readResults(baselineFile);
  const on = await { ...await machine(root, programs), nice: options.nice };
  let ok = true;
  for (const scenario of chosen) {
    console.error(`\n${scenario.title}`);
    const outcome = await scenario.run(suite);
    const { title, about, name } = scenario;
    const entry: Entry = { title, about, date: new Date().toISOString(), machine: on, ...outcome };
    await writeEntry(options.out, name, entry);
    const judged = [...outcome.verdicts, ...guard(outcome, baseline[name])];
    print(outcome.table, judged);
    ok &&= judged.every((verdict) => verdict.ok);
  }
  console.log(`Results: ${options.out}`);
  return ok;
}

function print({ head, rows }: TableData, judged: readonly Verdict[]): void {
  const out = new Table({
    head: [...head],
    colAligns: head.map((_, column) => column === 0 ? "left" : "right"),
    style: { head: [], border: [], compact: true },
  });
  out.push(...rows.map((row) => [...row]));
  console.log(out.toString());
  for (const { ok, what, found } of judged) {
    console.log(`${ok ? "ok    " : "FAILED"}  ${what}: ${found}`);
  }
}

const options = readOptions();
if (Deno.uid() !== 0) {
  console.error("bench: needs root: it makes network namespaces");
  Deno.exit(1);
}
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(name, () => interrupted.abort(new Error(`interrupted by ${name}`)));
}
const directory = await Deno.makeTempDir({ prefix: "livenessd-bench-" });
let ok = false;
try {
  ok = await main(options, directory, interrupted.signal);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
} finally {
  await Deno.remove(directory, { recursive: true });
}
Deno.exit(ok ? 0 : 1);
