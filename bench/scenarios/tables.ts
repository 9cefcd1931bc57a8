/** Big tables: sweeps among hundreds of thousands of routes hold nothing up and leave nothing behind. */
import type { Client } from "../client.ts";
import { contestants } from "../contestants.ts";
import { Run } from "../measure.ts";
import type { Outcome } from "../results.ts";
import { type Scenario, SETTLE_MS, type Suite, usualLoad } from "../scenario.ts";
import { median, rounded } from "../stats.ts";

const OURS = 5_000;
const FOREIGN = 200_000;
/** The shortest that makes sense: the default is 30 s. */
const SWEEP_MS = 2_000;
/** Each scrape tells the greatest lag since the one before: one sweep or two. */
const SCRAPE_MS = 3_000;
const LAG_LIMIT_MS = 5;
const RSS_GROWTH_MB = 10;

/** What one period between two scrapes found. */
interface Period {
  readonly lagMs: number;
  /** How long the last sweep took. */
  readonly sweepMs: number;
}

export const tables: Scenario = {
  name: "tables",
  title: "Big tables",
  about:
    `${OURS} sessions at 1 s × 3, all up and installed among ${FOREIGN} routes of others; the ` +
    `kernel's table is compared with what is wanted every ${
      SWEEP_MS / 1000
    } s. The daemon may use ` +
    "both cores: the kernel goes through a big table without a pause, in a thread.",
  quick: false,
  async run(suite) {
    const load = {
      ...usualLoad(OURS),
      intervalMs: 1000,
      foreignRoutes: FOREIGN,
      reconcileIntervalMs: SWEEP_MS,
      bothCores: true,
    };
    await using run = await Run.start(contestants.livenessd, load, suite);
    const upAfterMs = await run.allUp();
    if (upAfterMs === null) throw new Error("never all up");
    // By then the code of a sweep has been compiled, and what the start left has been collected.
    await run.pass(SETTLE_MS);
    const rssBefore = run.program.rssMb();
    const waitedBefore = run.program.waitedMs();
    const periods = await watch(run, suite);
    const seconds = periods.length * SCRAPE_MS / 1000;
    const waitedMsPerS = (run.program.waitedMs() - waitedBefore) / seconds;
    return conclude(periods, rssBefore, run.program.rssMb(), waitedMsPerS);
  },
};

async function watch(run: Run, suite: Suite): Promise<Period[]> {
  const client = run.client!;
  const periods: Period[] = [];
  await client.scrape();
  const until = performance.now() + 3 * suite.windowMs;
  for (let due = performance.now(); performance.now() < until;) {
    due += SCRAPE_MS;
    await run.pass(due - performance.now());
    const lagMs = (await client.scrape()).sum("livenessd_loop_lag_max_seconds") * 1000;
    const period = { lagMs, sweepMs: await lastSweepMs(client) };
    suite.say(
      `loop late by ${lagMs.toFixed(1)} ms at most; a sweep took ${
        period.sweepMs.toFixed(0)
      } ms, ` +
        `RSS ${run.program.rssMb().toFixed(0)} MB`,
    );
    periods.push(period);
  }
  return periods;
}

async function lastSweepMs(client: Client): Promise<number> {
  const { reconciler } = await (await client.get("/v1/status")).json();
  if (reconciler.last_error !== null) throw new Error(`a sweep failed: ${reconciler.last_error}`);
  return reconciler.last_took_us / 1000;
}

function conclude(
  periods: readonly Period[],
  rssBefore: number,
  rssAfter: number,
  waitedMsPerS: number,
): Outcome {
  const lags = periods.map(({ lagMs }) => lagMs);
  const sweepMs = median(periods.map((period) => period.sweepMs));
  const most = Math.max(...lags);
  const grownMb = rssAfter - rssBefore;
  return {
    ratios: {},
    figures: {
      periods: periods.length,
      lagMaxMs: rounded(most, 2),
      lagMedianMs: rounded(median(lags), 2),
      sweepMs: rounded(sweepMs),
      waitedMsPerS: rounded(waitedMsPerS),
      rssBeforeMb: rounded(rssBefore),
      rssAfterMb: rounded(rssAfter),
    },
    verdicts: [{
      what: `loop late by less than ${LAG_LIMIT_MS} ms in every period`,
      found: `${most.toFixed(1)} ms, median ${median(lags).toFixed(1)} ms`,
      ok: most < LAG_LIMIT_MS,
    }, {
      what: `memory grown by ${RSS_GROWTH_MB} MB at most`,
      found: `${rssBefore.toFixed(0)} → ${rssAfter.toFixed(0)} MB`,
      ok: grownMb <= RSS_GROWTH_MB,
    }],
    table: {
      head: ["loop late, max ms", "median ms", "a sweep takes ms", "waited ms/s", "RSS MB"],
      rows: [[
        most.toFixed(1),
        median(lags).toFixed(1),
        sweepMs.toFixed(0),
        waitedMsPerS.toFixed(1),
        `${rssBefore.toFixed(0)} → ${rssAfter.toFixed(0)}`,
      ]],
    },
    pictures: [],
  };
}
