/**
 * The performance suite: `deno task bench`. Each contestant runs alternately with the others against the same light
 * peers; ratios within a round are the results, absolute times are context. Needs root.
 */
import { Command, InvalidArgumentError } from "commander";
import { type ContestantKey, contestants, type Load, type Programs } from "./contestants.ts";
import { measure } from "./measure.ts";
import { output, run } from "../tests/system/netns.ts";
import { type Rounds, table, verdicts } from "./report.ts";

interface Options {
  sessions: number;
  interval: number;
  rounds: number;
  seconds: number;
  hold: number;
  only: ContestantKey[];
  out: string;
}

const root = new URL("..", import.meta.url).pathname;
const keys = Object.keys(contestants) as ContestantKey[];

function integer(from: number, to: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= from && value <= to) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${from} to ${to}.`);
  };
}

function contestantKeys(text: string): ContestantKey[] {
  const chosen = text.split(",");
  const unknown = chosen.filter((name) => !keys.some((key) => key === name));
  if (unknown.length === 0) return keys.filter((key) => chosen.includes(key));
  throw new InvalidArgumentError(`Unknown: ${unknown.join(", ")}. There are: ${keys.join(", ")}.`);
}

function readOptions(): Options {
  return new Command("bench")
    .description(
      "Measures livenessd beside BIRD 2 and the floor, in network namespaces. Needs root.",
    )
    .option("--sessions <n>", "sessions, each with a route", integer(1, 64_000), 2000)
    .option(
      "--interval <ms>",
      "interval of all sessions; the multiplier is 3",
      integer(10, 3500),
      300,
    )
    .option("--rounds <n>", "rounds in which every contestant runs once", integer(1, 100), 3)
    .option("--seconds <s>", "length of the steady window", integer(1, 3600), 20)
    .option("--hold <s>", "length of livenessd's first window, if longer", integer(1, 3600), 60)
    .option("--only <names>", `some of ${keys.join(",")}`, contestantKeys, keys)
    .option("--out <file>", "where the results go, as JSON", `${root}bench/results/quick.json`)
    .helpOption("--help")
    .parse(Deno.args, { from: "user" })
    .opts<Options>();
}

/** Compiles the C programs and livenessd, finds BIRD. Throws with the remedy when something lacks. */
async function build(directory: string, only: readonly ContestantKey[]): Promise<Programs> {
  const needed = ["ip", "taskset", "gcc", "sysctl", ...only.includes("bird") ? ["bird"] : []];
  const missing = needed.filter((name) => !found(name));
  if (missing.length > 0) {
    throw new Error(
      `not installed: ${missing.join(", ")}; ` +
        "run: apt-get install iproute2 util-linux procps gcc libc6-dev bird2 (or leave bird out with --only)",
    );
  }
  for (const name of ["farside", "floor"]) {
    await run(["gcc", "-O2", "-o", `${directory}/${name}`, `${root}bench/${name}.c`]);
  }
  const ours = only.includes("livenessd") || only.includes("plain");
  if (ours) await run([`${root}scripts/compile`, "--if-needed"]);
  return {
    livenessd: `${root}dist/livenessd`,
    bird: "bird",
    floor: `${directory}/floor`,
    farside: `${directory}/farside`,
  };
}

function found(command: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${command}`).isFile;
    } catch {
      return false;
    }
  });
}

/** What the figures were measured on and with. */
async function machine(): Promise<Record<string, string | number>> {
  const cpu = /^model name\s*: (.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1];
  const bird = (await output(["bird", "--version"]).catch(() => null))?.stderr.trim();
  return {
    cpu: cpu ?? "unknown",
    cores: navigator.hardwareConcurrency,
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    bird: bird ?? "not installed",
    commit: (await output(["git", "-C", root, "rev-parse", "--short", "HEAD"])).stdout.trim(),
  };
}

async function main(options: Options, directory: string, signal: AbortSignal): Promise<boolean> {
  const programs = await build(directory, options.only);
  const load: Load = { sessions: options.sessions, intervalMs: options.interval, detectMult: 3 };
  const rounds: Rounds = {};
  for (let round = 0; round < options.rounds; round++) {
    // Each round begins with another contestant, so that none always runs on the warmest machine.
    const shift = round % options.only.length;
    for (const key of [...options.only.slice(shift), ...options.only.slice(0, shift)]) {
      const long = key === "livenessd" && round === 0;
      const seconds = long ? Math.max(options.hold, options.seconds) : options.seconds;
      const result = await measure(contestants[key], load, seconds * 1000, programs, signal);
      (rounds[key] ??= []).push(result);
      const up = result.upAfterMs === null
        ? "not all up"
        : `up in ${(result.upAfterMs / 1000).toFixed(2)} s`;
      console.error(
        `round ${round + 1}/${options.rounds}  ${contestants[key].name}: ` +
          `${result.cpuMsPerS.toFixed(1)} ms/s over ${seconds} s, ${up}, ${
            result.rssMb.toFixed(1)
          } MB`,
      );
    }
  }
  return await conclude(options, load, rounds);
}

async function conclude(options: Options, load: Load, rounds: Rounds): Promise<boolean> {
  const judged = verdicts(rounds, load);
  const results = { load, machine: await machine(), rounds, verdicts: judged };
  await Deno.mkdir(options.out.replace(/[^/]*$/, "") || ".", { recursive: true });
  await Deno.writeTextFile(options.out, JSON.stringify(results, null, 2) + "\n");
  console.log(`\n${load.sessions} sessions, ${load.intervalMs} ms × ${load.detectMult}`);
  console.log(table(rounds));
  for (const { ok, what, found } of judged) {
    console.log(`${ok ? "ok    " : "FAILED"}  ${what}: ${found}`);
  }
  console.log(`Results: ${options.out}`);
  return judged.every((verdict) => verdict.ok);
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
