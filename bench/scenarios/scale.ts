/** 30,000 sessions: kept for long, cheap for each, and not disturbed by those who ask. */
import { Client } from "../client.ts";
import { contestants, controlSocket } from "../contestants.ts";
import { Run, type Window } from "../measure.ts";
import type { Outcome, Verdict } from "../results.ts";
import { type Scenario, SETTLE_MS, type Suite, usualLoad } from "../scenario.ts";
import { rounded } from "../stats.ts";

const MANY = 30_000;
const FEW = 2_000;
const UP_WITHIN_MS = 30_000;
const LAG_LIMIT_MS = 100;
/** What a request may delay the loop by. */
const REQUEST_LAG_MS = 20;
const COST_LIMIT = 1.2;
/** How often each request is made. */
const REQUESTS = 5;
/** How long the event stream is followed. */
const STREAM_MS = 10_000;

interface Asked {
  readonly what: string;
  readonly lagMs: number;
  readonly tookMs: number;
}

export const scale: Scenario = {
  name: "scale",
  title: "30,000 sessions",
  about:
    "30,000 sessions at 300 ms × 3 on one core: kept for a time, compared by cost per session with " +
    "2,000 and with the floor; then metrics, a list of all sessions and an event stream are asked for.",
  quick: false,
  async run(suite) {
    const few = await steady("livenessd", FEW, suite, suite.windowMs);
    suite.say(`${FEW} sessions: ${few.cpuMsPerS.toFixed(1)} ms/s`);
    const floor = suite.contestants.includes("floor")
      ? await steady("floor", MANY, suite, suite.windowMs)
      : null;
    await using run = await Run.start(contestants.livenessd, usualLoad(MANY), suite);
    const upAfterMs = await run.allUp();
    suite.say(
      upAfterMs === null ? "never all up" : `all up after ${rounded(upAfterMs / 1000, 2)} s`,
    );
    await run.pass(SETTLE_MS);
    const window = await run.window(suite.holdMs);
    suite.say(
      `${window.cpuMsPerS.toFixed(1)} ms/s, ${window.fewestUp} up, ` +
        `loop late by ${window.own!.lagMaxMs.toFixed(1)} ms at most, ` +
        `waited for its core ${window.waitedMsPerS.toFixed(1)} ms/s`,
    );
    const asked = await askAll(run, suite);
    return conclude(few, floor, upAfterMs, window, asked, run.program.rssMb());
  },
};

async function steady(key: "livenessd" | "floor", sessions: number, suite: Suite, ms: number) {
  await using run = await Run.start(contestants[key], usualLoad(sessions), suite);
  await run.allUp();
  await run.pass(SETTLE_MS);
  return await run.window(ms);
}

async function askAll(run: Run, suite: Suite): Promise<Asked[]> {
  const client = run.client!;
  const socket = controlSocket(run.lab.directory);
  const command = [...suite.programs.livenessd, "sessions", "--json", "--socket", socket];
  const requests: [string, () => Promise<unknown>][] = [
    ["nothing, for comparison", () => run.pass(1000)],
    ["/metrics", () => client.scrape()],
    // On the far side's core: an operator's shell does not run on the daemon's alone.
    ["sessions --json", () => runToEnd(command)],
    ["an event stream", () => follow(socket)],
  ];
  const asked: Asked[] = [];
  for (const [what, request] of requests) {
    const found = await ask(run, client, what, request);
    suite.say(
      `${what}: loop late by ${found.lagMs.toFixed(1)} ms at most, ${found.tookMs} ms each`,
    );
    asked.push(found);
  }
  return asked;
}

/** The greatest loop lag while the request is made several times, its scrape before excluded. */
async function ask(run: Run, client: Client, what: string, request: () => Promise<unknown>) {
  await client.scrape();
  const begun = performance.now();
  for (let i = 0; i < REQUESTS; i++) await request();
  const tookMs = Math.round((performance.now() - begun) / REQUESTS);
  await run.next();
  const lagMs = (await client.scrape()).sum("livenessd_loop_lag_max_seconds") * 1000;
  return { what, lagMs, tookMs };
}

async function runToEnd(argv: readonly string[]): Promise<void> {
  const command = new Deno.Command("taskset", {
    args: ["--cpu-list", "1", ...argv],
    stdout: "null",
    stderr: "inherit",
  });
  const { code } = await command.output();
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit status ${code}`);
}

/** Reads the history of all sessions and what happens then, for a while, on a connection of its own. */
async function follow(socket: string): Promise<void> {
  using client = new Client(socket);
  const reader = (await client.get("/v1/events?follow=true&since=0")).body!.getReader();
  const end = setTimeout(() => reader.cancel().catch(() => {}), STREAM_MS / REQUESTS);
  while (!(await reader.read()).done);
  clearTimeout(end);
}

function conclude(
  few: Window,
  floor: Window | null,
  upAfterMs: number | null,
  window: Window,
  asked: readonly Asked[],
  rssMb: number,
): Outcome {
  const own = window.own!;
  const perSession = (window.cpuMsPerS / MANY) / (few.cpuMsPerS / FEW);
  const verdicts: Verdict[] = [{
    what: `all ${MANY} up and installed within ${UP_WITHIN_MS / 1000} s of start`,
    found: upAfterMs === null ? "never" : `${(upAfterMs / 1000).toFixed(1)} s`,
    ok: upAfterMs !== null && upAfterMs <= UP_WITHIN_MS,
  }, {
    what: `not one false down in ${Math.round(window.ms / 1000)} s`,
    found: `${own.downs} by its own count, ${window.downs} by the far side's`,
    ok: own.downs === 0 && window.downs === 0 && window.fewestUp === MANY,
  }, {
    what: `loop late by ${LAG_LIMIT_MS} ms at most`,
    found: `${own.lagMaxMs.toFixed(1)} ms`,
    ok: own.lagMaxMs <= LAG_LIMIT_MS,
  }, {
    what: `cost per session at most ${COST_LIMIT} × that at ${FEW}`,
    found: `${perSession.toFixed(2)} ×`,
    ok: perSession <= COST_LIMIT,
  }];
  for (const { what, lagMs } of asked.slice(1)) {
    verdicts.push({
      what: `${what}: loop late by ${REQUEST_LAG_MS} ms at most`,
      found: `${lagMs.toFixed(1)} ms (${asked[0]!.lagMs.toFixed(1)} ms while nobody asks)`,
      ok: lagMs <= REQUEST_LAG_MS,
    });
  }
  const floorRatio = floor === null ? null : window.cpuMsPerS / floor.cpuMsPerS;
  return {
    ratios: {
      [`cost per session, ${MANY} / ${FEW}`]: rounded(perSession, 3),
      ...(floorRatio === null
        ? {}
        : { [`livenessd / floor, ${MANY} sessions`]: rounded(floorRatio, 3) }),
    },
    figures: {
      upAfterMs: upAfterMs === null ? null : Math.round(upAfterMs),
      heldS: Math.round(window.ms / 1000),
      cpuMsPerS: rounded(window.cpuMsPerS),
      lagMaxMs: rounded(own.lagMaxMs),
      waitedMsPerS: rounded(window.waitedMsPerS),
      rssMb: rounded(rssMb),
    },
    verdicts,
    table: {
      head: ["", "CPU ms/s", "µs per s and session", "waited ms/s"],
      rows: [["livenessd, 2,000", few, FEW], ["livenessd, 30,000", window, MANY], [
        "floor, 30,000",
        floor,
        MANY,
      ]].flatMap(([name, found, sessions]) =>
        row(name as string, found as Window | null, sessions as number)
      ),
    },
    pictures: [{
      title: "What requests delay the loop by at 30,000 sessions",
      unit: "ms, the latest turn",
      bars: asked.map(({ what, lagMs }) => ({ label: what, value: rounded(lagMs) })),
    }],
  };
}

function row(name: string, found: Window | null, sessions: number): string[][] {
  if (found === null) return [];
  const perSession = 1000 * found.cpuMsPerS / sessions;
  return [[name, found.cpuMsPerS.toFixed(1), perSession.toFixed(1), found.waitedMsPerS.toFixed(1)]];
}
