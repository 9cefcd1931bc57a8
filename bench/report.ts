/** From measurements to ratios, verdicts and the printed table. */
import Table from "cli-table3";
import { type ContestantKey, contestants, type Load } from "./contestants.ts";
import type { Measurement } from "./measure.ts";

/** Measurements by contestant, one a round. */
export type Rounds = Partial<Record<ContestantKey, Measurement[]>>;

/** A requirement and whether it was met. */
export interface Verdict {
  readonly what: string;
  readonly found: string;
  readonly ok: boolean;
}

/** All sessions must be up this soon after exec. */
const UP_WITHIN_MS = 5_000;

/** The middle value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return Number.isInteger(half) ? (sorted[half - 1] + sorted[half]) / 2 : sorted[Math.floor(half)];
}

/** CPU of livenessd over that of `other`: the median over the rounds of the ratio within a round. */
export function cpuRatio(rounds: Rounds, other: ContestantKey): number | null {
  const ours = rounds.livenessd;
  const theirs = rounds[other];
  if (ours === undefined || theirs === undefined) return null;
  return median(ours.map((own, round) => own.cpuMsPerS / theirs[round].cpuMsPerS));
}

/** What livenessd must reach at this load. */
export function verdicts(rounds: Rounds, load: Load): Verdict[] {
  const found: Verdict[] = [];
  for (const key of ["livenessd", "plain"] as const) {
    const runs = rounds[key];
    if (runs !== undefined) found.push(...sessionVerdicts(contestants[key].name, runs, load));
  }
  const ratio = cpuRatio(rounds, "bird");
  if (ratio !== null) {
    found.push({
      what: "livenessd: CPU no more than BIRD's",
      found: `${ratio.toFixed(2)} × BIRD`,
      ok: ratio <= 1,
    });
  }
  return found;
}

function sessionVerdicts(name: string, runs: readonly Measurement[], load: Load): Verdict[] {
  const slowest = Math.max(...runs.map((run) => run.upAfterMs ?? Infinity));
  const fewest = Math.min(...runs.map((run) => run.fewestUp));
  const downs = runs.reduce((sum, run) => sum + run.downs, 0);
  const routes = Math.min(...runs.map((run) => run.routes ?? 0));
  const longest = Math.max(...runs.map((run) => run.windowMs));
  return [{
    what: `${name}: all up and installed within ${UP_WITHIN_MS / 1000} s of start`,
    found: slowest === Infinity ? "never" : `${(slowest / 1000).toFixed(2)} s at most`,
    ok: slowest <= UP_WITHIN_MS,
  }, {
    what: `${name}: none down, no route lost, windows of up to ${(longest / 1000).toFixed(0)} s`,
    found: `${downs} went down, at least ${fewest} up, ${routes} routes`,
    ok: downs === 0 && fewest === load.sessions && routes === load.sessions,
  }];
}

/** The table for people. */
export function table(rounds: Rounds): string {
  const out = new Table({
    head: ["", "CPU ms/s", "× BIRD", "× floor", "sent/s", "all up after", "down", "RSS MB"],
    colAligns: ["left", "right", "right", "right", "right", "right", "right", "right"],
    style: { head: [], border: [], compact: true },
  });
  const cpu = (key: ContestantKey) => rounds[key]?.map((run) => run.cpuMsPerS);
  const against = (own: number[], other: number[] | undefined) =>
    other === undefined ? "-" : median(own.map((ms, round) => ms / other[round])).toFixed(2);
  for (const [key, runs] of Object.entries(rounds) as [ContestantKey, Measurement[]][]) {
    const own = cpu(key)!;
    const up = runs.map((run) => run.upAfterMs ?? Infinity);
    out.push([
      contestants[key].name,
      median(own).toFixed(1),
      against(own, cpu("bird")),
      against(own, cpu("floor")),
      median(runs.map((run) => run.txPerS)).toFixed(0),
      median(up) === Infinity ? "never" : `${(median(up) / 1000).toFixed(2)} s`,
      String(runs.reduce((sum, run) => sum + run.downs, 0)),
      median(runs.map((run) => run.rssMb)).toFixed(1),
    ]);
  }
  return out.toString();
}
