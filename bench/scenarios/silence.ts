/** Most of 10,000 peers fall silent at once: how soon are their routes gone, and whose else? */
import type { Scrape } from "../client.ts";
import { contestants } from "../contestants.ts";
import { peerAddress } from "../lab.ts";
import { Run } from "../measure.ts";
import type { Outcome, Verdict } from "../results.ts";
import { type RouteChange, RouteWatch } from "../route_watch.ts";
import { type Scenario, SETTLE_MS, type Suite, usualLoad } from "../scenario.ts";
import { rounded } from "../stats.ts";

const SESSIONS = 10_000;
const TALKATIVE_PERCENT = 10;
const SILENCE_MS = 10_000;
/** Single failures: of every hundred peers one, time and again. */
const STEADY_PERCENT = 99;
const FAILURES = 10;
const FAILURE_MS = 1_500;
const RECOVERY_MS = 2_500;
/** After the detect time and one interval, during which the last packets of each peer fall. */
const SLACK_MS = 100;
const BACK_WITHIN_MS = 5_000;
const DETECT_HISTOGRAM = "livenessd_detect_lateness_seconds";
const TX_HISTOGRAM = "livenessd_tx_lateness_seconds";

interface Silence {
  /** From the silence until the last route had gone; `null`: some stayed. */
  readonly goneMs: number | null;
  /** From the first word until the last route was back; `null`: some were missing. */
  readonly backMs: number | null;
  /** Changes of routes whose peers never stopped talking. */
  readonly liveTouched: number;
  readonly silent: number;
}

export const silence: Scenario = {
  name: "silence",
  title: "Silence of 9,000 among 10,000 peers",
  about:
    "10,000 sessions at 300 ms × 3 with a kernel route each. Ten times 1 % of the peers fall silent for " +
    "1.5 s, then, in a run of its own, 90 % for 10 s. " +
    "Times are those of the kernel's own notifications against the far side's record of its silence.",
  quick: true,
  async run(suite) {
    const load = usualLoad(SESSIONS);
    const single = await failSingly(suite);
    await using run = await Run.start(contestants.livenessd, load, suite, TALKATIVE_PERCENT);
    if (await run.allUp() === null) throw new Error(`not all ${SESSIONS} sessions came up`);
    await run.pass(SETTLE_MS);
    const start = await run.client!.scrape();
    const spacing = await watchSpacing(run, suite.windowMs);
    const steady = await run.client!.scrape();
    const found = await fallSilent(run, suite);
    const after = await run.client!.scrape();
    suite.say(`shortest of ${spacing.gaps} intervals between packets: ${spacing.shortestUs} µs`);
    return conclude(found, run.load.intervalMs, spacing, single, [start, steady, after]);
  },
};

/** How late single failures are noticed, while thousands of others go on. */
async function failSingly(suite: Suite): Promise<Lateness> {
  await using run = await Run.start(
    contestants.livenessd,
    usualLoad(SESSIONS),
    suite,
    STEADY_PERCENT,
  );
  if (await run.allUp() === null) throw new Error(`not all ${SESSIONS} sessions came up`);
  await run.pass(SETTLE_MS);
  const before = await run.client!.scrape();
  for (let i = 0; i < FAILURES; i++) {
    run.peers.program.signal("SIGUSR1");
    await run.pass(FAILURE_MS);
    run.peers.program.signal("SIGUSR2");
    await run.pass(RECOVERY_MS);
  }
  const found = lateness(await run.client!.scrape(), DETECT_HISTOGRAM, before);
  suite.say(`single failures noticed: ${describe(found)}`);
  return found;
}

interface Spacing {
  /** Intervals between two packets of a session. */
  readonly gaps: number;
  /** Those below 90 % of what was agreed on. */
  readonly short: number;
  readonly shortestUs: number;
}

async function watchSpacing(run: Run, ms: number): Promise<Spacing> {
  const first = await run.next();
  let last = first;
  let shortestUs = Infinity;
  for (const until = performance.now() + ms; performance.now() < until;) {
    last = await run.next();
    if (last.shortest_us > 0) shortestUs = Math.min(shortestUs, last.shortest_us);
  }
  const short = last.short_gaps - first.short_gaps;
  return { gaps: last.gaps - first.gaps, short, shortestUs };
}

async function fallSilent(run: Run, suite: Suite): Promise<Silence> {
  const watch = RouteWatch.start(run.lab);
  await run.pass(500);
  run.peers.program.signal("SIGUSR1");
  await run.pass(SILENCE_MS);
  const { silent_us } = await run.next();
  const fallen = watch.changes.splice(0);
  run.peers.program.signal("SIGUSR2");
  await run.pass(BACK_WITHIN_MS + 2_000);
  const { spoke_us } = await run.next();
  const risen = watch.changes.splice(0);
  const silent = 0.01 * SESSIONS * (100 - TALKATIVE_PERCENT);
  const found = {
    goneMs: lastOf(fallen, true, silent, silent_us),
    backMs: lastOf(risen, false, silent, spoke_us),
    liveTouched: [...fallen, ...risen].filter(({ dst }) => talkative.has(dst)).length,
    silent,
  };
  suite.say(`gone after ${found.goneMs} ms, back after ${found.backMs} ms`);
  return found;
}

/** Peers that never fall silent, chosen as bench/farside.c does. */
const talkative = new Set(
  Array.from({ length: SESSIONS }, (_, index) => index)
    .filter((index) => index % 100 < TALKATIVE_PERCENT)
    .map(peerAddress),
);

function lastOf(changes: readonly RouteChange[], gone: boolean, expected: number, since: number) {
  const relevant = changes.filter((change) => change.gone === gone && !talkative.has(change.dst));
  if (new Set(relevant.map(({ dst }) => dst)).size !== expected) return null;
  return rounded((relevant.at(-1)!.at - since) / 1000);
}

function conclude(
  { goneMs, backMs, liveTouched, silent }: Silence,
  intervalMs: number,
  { gaps, short, shortestUs }: Spacing,
  single: Lateness,
  [start, steady, after]: [Scrape, Scrape, Scrape],
): Outcome {
  const detectMs = 3 * intervalMs;
  const goneWithin = detectMs + intervalMs + SLACK_MS;
  const verdicts: Verdict[] = [{
    what: `the last route gone within ${goneWithin} ms of the silence`,
    found: goneMs === null ? "some stayed" : `${goneMs} ms`,
    ok: goneMs !== null && goneMs <= goneWithin,
  }, {
    what: `all routes back within ${BACK_WITHIN_MS / 1000} s of the first word`,
    found: backMs === null ? "some were missing" : `${backMs} ms`,
    ok: backMs !== null && backMs <= BACK_WITHIN_MS,
  }, {
    what: "no route of a live peer touched",
    found: `${liveTouched} changes of such routes, ${silent} peers were silent`,
    ok: liveTouched === 0,
  }, {
    what: "spacing of packets never below 90 % of the interval",
    found: `${rounded(shortestUs / 1000, 2)} ms the shortest, ${short} of ${gaps} below`,
    ok: gaps > 0 && short === 0,
  }];
  const detect = lateness(after, DETECT_HISTOGRAM, steady);
  const send = lateness(steady, TX_HISTOGRAM, start);
  verdicts.push({
    what: "single failures noticed at most 10 ms late for 99.9 %, 50 ms for all",
    found: describe(single),
    ok: single.count >= FAILURES * SESSIONS * (100 - STEADY_PERCENT) / 100 &&
      single.within10 >= 0.999 && single.within50 === 1,
  }, {
    what: "packets sent at most 10 ms late for 99.9 %",
    found: describe(send),
    ok: send.count > 0 && send.within10 >= 0.999,
  });
  return {
    ratios: {},
    figures: {
      goneMs,
      backMs,
      liveTouched,
      shortestMs: rounded(shortestUs / 1000, 2),
      singleWithin10Ms: single.within10,
      singleWithin50Ms: single.within50,
      detectWithin10Ms: detect.within10,
      detectWithin50Ms: detect.within50,
      sentWithin10Ms: send.within10,
    },
    verdicts,
    table: {
      head: ["", "observed", "within 5 ms", "within 10 ms", "within 50 ms"],
      rows: [
        ["single failures noticed late by", single] as const,
        [`${silent} at once noticed late by`, detect] as const,
        ["packets sent late by", send] as const,
      ]
        .map(
          ([name, { count, within5, within10, within50 }]) => [
            name,
            String(count),
            ...[within5, within10, within50].map((share) => `${(100 * share).toFixed(2)} %`),
          ],
        ),
    },
    pictures: [{
      title: "Silence of 9,000 among 10,000 peers",
      unit: "ms",
      bars: [
        { label: "allowed until the last route is gone", value: goneWithin },
        { label: "measured", value: goneMs ?? 0 },
        { label: "allowed until all are back", value: BACK_WITHIN_MS },
        { label: "measured", value: backMs ?? 0 },
      ],
    }],
  };
}

type Lateness = ReturnType<typeof lateness>;

function lateness(scrape: Scrape, histogram: string, before: Scrape) {
  const share = (bound: number) => {
    const { count, within } = scrape.within(histogram, bound, before);
    return count === 0 ? 0 : rounded(within / count, 5);
  };
  const { count } = scrape.within(histogram, 0.01, before);
  return { count, within5: share(0.005), within10: share(0.01), within50: share(0.05) };
}

function describe({ count, within10, within50 }: Lateness): string {
  return `${(100 * within10).toFixed(2)} % within 10 ms, ${
    (100 * within50).toFixed(2)
  } % within 50 ms, of ${count}`;
}
