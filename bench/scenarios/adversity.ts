/** Bad conditions: loss, a busy neighbour on the same core, a process that is stopped for a while. */
import { type ContestantKey, contestants, type Load } from "../contestants.ts";
import type { Lab } from "../lab.ts";
import { Run, type Window } from "../measure.ts";
import type { Outcome, Verdict } from "../results.ts";
import { type Scenario, SETTLE_MS, type Suite, usualLoad } from "../scenario.ts";
import { rounded } from "../stats.ts";

const LOSSY = 2_000;
const BUSY = 10_000;
const STOP_MS = 500;

interface Found extends Window {
  readonly name: string;
  readonly sessions: number;
}

export const adversity: Scenario = {
  name: "adversity",
  title: "Bad conditions",
  about:
    "1 % and 20 % of the packets lost each way at 2,000 sessions; a process that computes without end on " +
    "livenessd's core, at equal priority, at 10,000; livenessd stopped (SIGSTOP) for 500 ms at 10,000.",
  quick: false,
  async run(suite) {
    const found: Found[] = [];
    const note = (result: Found) => {
      found.push(result);
      suite.say(
        `${result.name}: ${result.meanUp.toFixed(0)} of ${result.sessions} up on average, ` +
          `${result.downs} went down, ${result.cpuMsPerS.toFixed(0)} ms/s`,
      );
      return result;
    };
    const few = note(await lossy("livenessd", 1, suite));
    const many = note(await lossy("livenessd", 20, suite));
    const bird = suite.contestants.includes("bird") ? note(await lossy("bird", 20, suite)) : null;
    const hog = note(await hogged(suite));
    const stop = note(await stopped(suite));
    return conclude(found, { few, many, bird, hog, stop });
  },
};

async function lossy(key: ContestantKey, percent: number, suite: Suite): Promise<Found> {
  const load = usualLoad(LOSSY);
  await using run = await Run.start(contestants[key], load, suite);
  await run.allUp();
  await lose(run.lab, percent);
  await run.pass(SETTLE_MS);
  const window = await run.window(2 * suite.windowMs);
  return { ...window, name: `${contestants[key].name}, ${percent} % loss`, sessions: LOSSY };
}

/** The far side's end of the cable loses packets at random, both ways. */
async function lose(lab: Lab, percent: number): Promise<void> {
  const drop = `meta l4proto udp numgen random mod 100 < ${percent} drop`;
  await lab.far.exec([
    "nft",
    `add table ip bench
     add chain ip bench in { type filter hook input priority 0; }
     add chain ip bench out { type filter hook output priority 0; }
     add rule ip bench in ${drop}
     add rule ip bench out ${drop}`,
  ]);
}

async function hogged(suite: Suite): Promise<Found> {
  await using run = await Run.start(contestants.livenessd, usualLoad(BUSY), suite);
  await run.allUp();
  const hog = run.lab.startContestant("hog", ["sh", "-c", "while :; do :; done"]);
  await run.pass(SETTLE_MS);
  const window = await run.window(suite.windowMs);
  hog.mustRun();
  await hog.stop();
  return { ...window, name: "livenessd, busy neighbour", sessions: BUSY };
}

async function stopped(suite: Suite): Promise<Found> {
  const load: Load = usualLoad(BUSY);
  await using run = await Run.start(contestants.livenessd, load, suite);
  await run.allUp();
  await run.pass(SETTLE_MS);
  const watched = run.window(suite.windowMs);
  await new Promise((resume) => setTimeout(resume, 2_000));
  run.program.signal("SIGSTOP");
  await new Promise((resume) => setTimeout(resume, STOP_MS));
  run.program.signal("SIGCONT");
  return { ...await watched, name: "livenessd, stopped for 500 ms", sessions: BUSY };
}

function conclude(
  found: readonly Found[],
  by: { few: Found; many: Found; bird: Found | null; hog: Found; stop: Found },
): Outcome {
  const undisturbed = (what: string, { downs, own, fewestUp, sessions }: Found): Verdict => ({
    what: `${what}: no session lost`,
    found: `${downs + (own?.downs ?? 0)} went down, at least ${fewestUp} up`,
    ok: downs === 0 && own?.downs === 0 && fewestUp === sessions,
  });
  const share = ({ meanUp, sessions }: Found) => meanUp / sessions;
  const verdicts: Verdict[] = [
    // Three in a row are lost once in a million: of the packets in a window, rarely one session's.
    {
      what: "1 % loss: no more sessions lost than three packets in a row are",
      found: `${by.few.downs} went down`,
      ok: by.few.downs <= tripleLosses(by.few),
    },
    undisturbed("a busy neighbour at equal priority", by.hog),
    undisturbed(`stopped for ${STOP_MS} ms`, by.stop),
  ];
  if (by.bird !== null) {
    verdicts.push({
      what: "20 % loss: at least as many sessions up as BIRD keeps",
      found: `${(100 * share(by.many)).toFixed(1)} % against ${
        (100 * share(by.bird)).toFixed(1)
      } %`,
      ok: share(by.many) >= share(by.bird) - 0.01,
    });
  }
  return {
    ratios: {},
    figures: Object.fromEntries(
      found.map(({ name, meanUp }) => [`${name}, mean up`, rounded(meanUp)]),
    ),
    verdicts,
    table: {
      head: ["", "up on average", "went down", "CPU ms/s", "loop late at most, ms"],
      rows: found.map((each) => [
        each.name,
        `${(100 * share(each)).toFixed(2)} %`,
        String(each.downs),
        each.cpuMsPerS.toFixed(1),
        each.own === null ? "" : each.own.lagMaxMs.toFixed(1),
      ]),
    },
    pictures: [],
  };
}

/** How often three packets in a row of one direction are lost in the window, and as much again for chance. */
function tripleLosses({ ms, txPerS }: Found): number {
  const expected = 2 * txPerS * (ms / 1000) * 0.01 ** 3;
  return Math.ceil(2 * expected) + 1;
}
