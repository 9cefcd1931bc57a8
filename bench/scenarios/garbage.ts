/** What the garbage collector finds to do, as V8 itself tells. */
import { contestants } from "../contestants.ts";
import { Run } from "../measure.ts";
import type { Outcome } from "../results.ts";
import { type Scenario, SETTLE_MS, type Suite, usualLoad } from "../scenario.ts";
import { rounded } from "../stats.ts";

const SESSIONS = 10_000;
const PACKETS = 1_000_000;
/** Less than any object takes: what is allocated per turn or per second spreads over the packets. */
const BYTES_PER_PACKET = 8;
const PAUSE_LIMIT_MS = 10;

interface Collection {
  readonly kind: string;
  readonly beforeMb: number;
  readonly afterMb: number;
  readonly pauseMs: number;
}

export const garbage: Scenario = {
  name: "garbage",
  title: "Garbage",
  about:
    `The executable under V8's --trace-gc, ${SESSIONS} sessions at 300 ms × 3, over a million packets received ` +
    "and sent. Between two collections the heap grows by what was allocated. Nobody scrapes meanwhile.",
  quick: false,
  async run(suite) {
    const traced: Collection[] = [];
    // V8 tells on standard output, which it would buffer before a pipe.
    const livenessd = ["stdbuf", "-oL", await suite.compile("--trace-gc")];
    const programs = { ...suite.programs, livenessd };
    const note = (line: string) => {
      const collection = parse(line);
      if (collection !== null) traced.push(collection);
    };
    await using run = await Run.start(
      contestants.livenessd,
      usualLoad(SESSIONS),
      { ...suite, programs },
      0,
      note,
    );
    await run.allUp();
    await run.pass(SETTLE_MS);
    if (traced.splice(0).length === 0) throw new Error("V8 told of no collection during the start");
    const heapBefore = (await run.client!.scrape()).sum("livenessd_heap_used_bytes");
    const packets = await pass(run, suite);
    const heapAfter = (await run.client!.scrape()).sum("livenessd_heap_used_bytes");
    suite.say(`${packets} packets, ${traced.length} collections`);
    return conclude(packets, traced, heapBefore, heapAfter);
  },
};

/** Lets a million packets pass, both ways counted; more in the full suite, to see more collections. */
async function pass(run: Run, suite: Suite): Promise<number> {
  const first = await run.next();
  const wanted = suite.full ? 4 * PACKETS : PACKETS;
  for (;;) {
    const { rx, tx } = await run.next();
    const packets = rx + tx - first.rx - first.tx;
    if (packets >= wanted) return packets;
  }
}

/** `[123:0x…]  456 ms: Scavenge 12.3 (16.0) -> 9.8 (17.0) MB, pooled: 0 MB, 1.20 / 0.00 ms …` */
function parse(line: string): Collection | null {
  const found =
    /ms: ([A-Z][\w-]*).*? ([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB.*?, ([\d.]+) \/ /
      .exec(line);
  if (found === null) return null;
  const [, kind = "", before, after, pause] = found;
  return { kind, beforeMb: Number(before), afterMb: Number(after), pauseMs: Number(pause) };
}

function conclude(
  packets: number,
  traced: readonly Collection[],
  heapBefore: number,
  heapAfter: number,
): Outcome {
  let allocatedMb = 0;
  for (let i = 1; i < traced.length; i++) {
    allocatedMb += Math.max(0, traced[i]!.beforeMb - traced[i - 1]!.afterMb);
  }
  // Too few collections to see growth between them: the heap itself then shows all that was allocated.
  const bytes = traced.length > 1 ? allocatedMb * 2 ** 20 : Math.max(0, heapAfter - heapBefore);
  const perPacket = bytes / packets;
  const longest = Math.max(0, ...traced.map(({ pauseMs }) => pauseMs));
  const full = traced.filter(({ kind }) => kind !== "Scavenge").length;
  return {
    ratios: {},
    figures: {
      packets,
      collections: traced.length,
      fullCollections: full,
      allocatedBytesPerPacket: rounded(perPacket, 2),
      longestPauseMs: longest,
    },
    verdicts: [{
      what: `no allocation per packet: less than ${BYTES_PER_PACKET} bytes each, all else included`,
      found: `${rounded(perPacket, 2)} bytes over ${packets} packets`,
      ok: perPacket < BYTES_PER_PACKET,
    }, {
      what: `no collection pause above ${PAUSE_LIMIT_MS} ms`,
      found: `${longest} ms, the longest of ${traced.length}`,
      ok: longest <= PAUSE_LIMIT_MS,
    }],
    table: {
      head: ["packets", "allocated, bytes per packet", "collections", "longest pause ms"],
      rows: [[String(packets), perPacket.toFixed(2), String(traced.length), longest.toFixed(2)]],
    },
    pictures: [],
  };
}
