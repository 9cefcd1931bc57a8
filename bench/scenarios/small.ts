/** A host with next to nothing to do: what livenessd costs by being there. */
import { type ContestantKey, contestants, type Load } from "../contestants.ts";
import { Lab } from "../lab.ts";
import { Run } from "../measure.ts";
import type { Outcome, Verdict } from "../results.ts";
import { type Scenario, SETTLE_MS, type Suite, usualLoad } from "../scenario.ts";
import { median, rounded } from "../stats.ts";

const FEW: Load = { sessions: 10, intervalMs: 1000, detectMult: 3 };
/** With so few packets V8 takes this long until it has compiled what runs again and again. */
const FEW_SETTLE_MS = 60_000;
const MANY = 10_000;
const CPU_LIMIT_MS = 3;
const RSS_LIMIT_MB = { few: 70, many: 95 };
const FIRST_PACKET_MS = 200;
const STARTS = 5;

export const small: Scenario = {
  name: "small",
  title: "Small hosts",
  about:
    "10 sessions at 1 s × 3, after a minute; memory there and at 10,000 sessions; the time from exec to the first packet " +
    "at the far side, as its kernel stamps it.",
  quick: true,
  async run(suite) {
    const windowMs = suite.full ? 60_000 : 20_000;
    const found: [ContestantKey, number, number][] = [];
    for (const key of ["livenessd", "bird", "floor"] as const) {
      if (!suite.contestants.includes(key)) continue;
      await using run = await Run.start(contestants[key], FEW, suite);
      await run.allUp();
      await run.pass(FEW_SETTLE_MS);
      const { cpuMsPerS, waitedMsPerS } = await run.window(windowMs);
      found.push([key, cpuMsPerS, run.program.rssMb()]);
      suite.say(
        `${contestants[key].name}: ${cpuMsPerS.toFixed(2)} ms/s (waited ${
          waitedMsPerS.toFixed(1)
        }), ` +
          `${run.program.rssMb().toFixed(1)} MB`,
      );
    }
    const firsts: number[] = [];
    for (let i = 0; i < STARTS; i++) firsts.push(await firstPacketMs(suite));
    suite.say(`first packet after ${firsts.map((ms) => ms.toFixed(0)).join(", ")} ms`);
    const manyMb = await memoryOfMany(suite);
    suite.say(`${MANY} sessions: ${manyMb.toFixed(1)} MB`);
    return conclude(found, firsts, manyMb);
  },
};

/** From exec to the first packet. Bash tells the moment before it becomes the program. */
async function firstPacketMs(suite: Suite): Promise<number> {
  const { livenessd } = contestants;
  await using lab = await Lab.create(suite.nice);
  const { argv, env } = await livenessd.prepare(lab, FEW, suite.programs);
  const { port, packetBytes: length } = livenessd;
  const peers = lab.startPeers(suite.programs.farside, { ...FEW, port, length });
  await peers.sample();
  const moment = Promise.withResolvers<number>();
  const shell = ["bash", "-c", 'echo "${EPOCHREALTIME/,/.}"; exec "$@"', "bash", ...argv];
  lab.startContestant("livenessd", shell, env, (line) => moment.resolve(1000 * Number(line)));
  const begun = await moment.promise;
  for (;;) {
    suite.signal.throwIfAborted();
    const { first_rx_us } = await peers.sample();
    if (first_rx_us > 0) return first_rx_us / 1000 - begun;
  }
}

async function memoryOfMany(suite: Suite): Promise<number> {
  await using run = await Run.start(contestants.livenessd, usualLoad(MANY), suite);
  await run.allUp();
  await run.pass(SETTLE_MS);
  await run.window(suite.windowMs);
  return run.program.rssMb();
}

function conclude(
  found: readonly [ContestantKey, number, number][],
  firsts: readonly number[],
  manyMb: number,
): Outcome {
  const cpu = new Map(found.map(([key, cpuMsPerS]) => [key, cpuMsPerS]));
  const own = cpu.get("livenessd") ?? 0;
  const fewMb = found.find(([key]) => key === "livenessd")?.[2] ?? 0;
  const first = median(firsts);
  const limit = (what: string, value: number, most: number, unit: string): Verdict => ({
    what: `${what} at most ${most} ${unit}`,
    found: `${rounded(value, 2)} ${unit}`,
    ok: value > 0 && value <= most,
  });
  return {
    ratios: {},
    figures: {
      cpuMsPerS: rounded(own, 2),
      rssFewMb: rounded(fewMb),
      rssManyMb: rounded(manyMb),
      firstPacketMs: rounded(first),
    },
    verdicts: [
      limit("CPU per second at 10 sessions of 1 s", own, CPU_LIMIT_MS, "ms"),
      limit("memory at 10 sessions", fewMb, RSS_LIMIT_MB.few, "MB"),
      limit(`memory at ${MANY} sessions`, manyMb, RSS_LIMIT_MB.many, "MB"),
      limit("first packet after exec", first, FIRST_PACKET_MS, "ms"),
    ],
    table: {
      head: ["10 sessions at 1 s", "CPU ms/s", "RSS MB"],
      rows: found.map(([key, ms, mb]) => [contestants[key].name, ms.toFixed(2), mb.toFixed(1)]),
    },
    pictures: [{
      title: "CPU at 10 sessions of 1 s",
      unit: "ms of CPU per second",
      bars: found.map(([key, ms]) => ({ label: contestants[key].name, value: rounded(ms, 2) })),
    }],
  };
}
