/** CPU per second, beside the others, alternating in one run. */
import { type ContestantKey, contestants } from "../contestants.ts";
import { Run, type Window } from "../measure.ts";
import type { Outcome, Verdict } from "../results.ts";
import { type Scenario, SETTLE_MS, type Suite, usualLoad } from "../scenario.ts";
import { median, rounded } from "../stats.ts";

/** CPU that livenessd may take, as a multiple of another's. */
const LIMITS: Partial<Record<ContestantKey, number>> = { bird: 0.75, floor: 1.7 };
/** All sessions must be up this soon after exec. */
const UP_WITHIN_MS = 5_000;

interface Round extends Window {
  readonly upAfterMs: number | null;
  readonly rssMb: number;
  readonly routes: number | null;
}

type Rounds = Partial<Record<ContestantKey, Round[]>>;

/** The scenario at so many sessions. `among`: who takes part, if chosen. */
export function cost(sessions: number, quick: boolean, among: readonly ContestantKey[]): Scenario {
  const many = sessions.toLocaleString("en");
  return {
    name: `cost-${sessions}`,
    title: `CPU at ${many} sessions`,
    about:
      `${many} sessions at 300 ms × 3; one program after the other keeps them, round by round. ` +
      "Ratios are medians of the ratios within a round.",
    quick,
    async run(suite) {
      const present = among.filter((key) => suite.contestants.includes(key));
      const rounds: Rounds = {};
      for (let round = 0; round < suite.rounds; round++) {
        // Each round begins with another one, so that none always runs on the warmest machine.
        const shift = round % present.length;
        for (const key of [...present.slice(shift), ...present.slice(0, shift)]) {
          const found = await once(key, sessions, suite);
          (rounds[key] ??= []).push(found);
          suite.say(
            `round ${round + 1}/${suite.rounds}  ${contestants[key].name}: ` +
              `${found.cpuMsPerS.toFixed(1)} ms/s, ${found.fewestUp} up, ${found.downs} down`,
          );
        }
      }
      return conclude(rounds, sessions);
    },
  };
}

async function once(key: ContestantKey, sessions: number, suite: Suite): Promise<Round> {
  await using run = await Run.start(contestants[key], usualLoad(sessions), suite);
  const upAfterMs = await run.allUp();
  await run.pass(SETTLE_MS);
  const window = await run.window(suite.windowMs);
  return { upAfterMs, ...window, routes: await run.routes(), rssMb: run.program.rssMb() };
}

function conclude(rounds: Rounds, sessions: number): Outcome {
  const keys = Object.keys(rounds) as ContestantKey[];
  const ratios: Record<string, number> = {};
  for (const key of keys) {
    // The unbatched way is ours too: it may become better without the other becoming worse.
    if (key === "livenessd" || key === "plain" || rounds.livenessd === undefined) continue;
    const ratio = cpuRatio(rounds.livenessd, rounds[key]!);
    ratios[`livenessd / ${contestants[key].name}, ${sessions} sessions`] = rounded(ratio, 3);
  }
  return {
    ratios,
    figures: Object.fromEntries(keys.map((key) => [
      `${contestants[key].name}, CPU ms/s`,
      rounded(median(rounds[key]!.map((round) => round.cpuMsPerS))),
    ])),
    verdicts: verdicts(rounds, sessions),
    table: {
      head: [
        "",
        "CPU ms/s",
        "livenessd / it",
        "sent/s",
        "all up after",
        "down",
        "RSS MB",
        "waited ms/s",
      ],
      rows: keys.map((key) => row(key, rounds)),
    },
    pictures: [{
      title: `CPU at ${sessions.toLocaleString("en")} sessions`,
      unit: "ms of CPU per second",
      bars: keys.map((key) => ({
        label: contestants[key].name,
        value: rounded(median(rounds[key]!.map((round) => round.cpuMsPerS))),
      })),
    }],
  };
}

function cpuRatio(ours: readonly Round[], theirs: readonly Round[]): number {
  return median(ours.map((own, round) => own.cpuMsPerS / theirs[round]!.cpuMsPerS));
}

function row(key: ContestantKey, rounds: Rounds): string[] {
  const own = rounds[key]!;
  const of = (value: (round: Round) => number) => median(own.map(value));
  const up = of((round) => round.upAfterMs ?? Infinity);
  return [
    contestants[key].name,
    of((round) => round.cpuMsPerS).toFixed(1),
    rounds.livenessd === undefined || key === "livenessd"
      ? ""
      : cpuRatio(rounds.livenessd, own).toFixed(2),
    of((round) => round.txPerS).toFixed(0),
    up === Infinity ? "never" : `${(up / 1000).toFixed(2)} s`,
    String(own.reduce((sum, round) => sum + round.downs, 0)),
    of((round) => round.rssMb).toFixed(1),
    of((round) => round.waitedMsPerS).toFixed(1),
  ];
}

function verdicts(rounds: Rounds, sessions: number): Verdict[] {
  const ours = rounds.livenessd;
  if (ours === undefined) return [];
  const found = sessionVerdicts(ours, sessions);
  for (const [key, limit] of Object.entries(LIMITS) as [ContestantKey, number][]) {
    const theirs = rounds[key];
    if (theirs === undefined) continue;
    const ratio = cpuRatio(ours, theirs);
    found.push({
      what: `CPU at most ${limit} × that of ${contestants[key].name}`,
      found: `${ratio.toFixed(2)} ×`,
      ok: ratio <= limit,
    });
  }
  return found;
}

function sessionVerdicts(runs: readonly Round[], sessions: number): Verdict[] {
  const slowest = Math.max(...runs.map((run) => run.upAfterMs ?? Infinity));
  const fewest = Math.min(...runs.map((run) => run.fewestUp));
  const downs = runs.reduce((sum, run) => sum + run.downs + (run.own?.downs ?? 0), 0);
  const routes = Math.min(...runs.map((run) => run.routes ?? 0));
  return [{
    what: `all up and installed within ${UP_WITHIN_MS / 1000} s of start`,
    found: slowest === Infinity ? "never" : `${(slowest / 1000).toFixed(2)} s at most`,
    ok: slowest <= UP_WITHIN_MS,
  }, {
    what: "none down, no route lost",
    found: `${downs} went down, at least ${fewest} up, ${routes} routes`,
    ok: downs === 0 && fewest === sessions && routes === sessions,
  }];
}
