/** One run of one contestant: start, wait until all is up, watch a steady window. */
import { type Contestant, type Load, type Programs, ROUTE_PROTOCOL } from "./contestants.ts";
import { type FarSide, Lab, type Program } from "./lab.ts";

/** How long a contestant may take to bring all sessions up before the run goes on without it. */
const UP_PATIENCE_MS = 30_000;
/** Between "all up" and the window: garbage of the start-up is collected, caches are warm. */
const SETTLE_MS = 3_000;

/** What one run found. */
export interface Measurement {
  /** From exec to all sessions up as both ends say, and all routes in the kernel; `null`: never. */
  readonly upAfterMs: number | null;
  /** Length of the steady window. */
  readonly windowMs: number;
  /** CPU time, user and system, in ms per second of the window. */
  readonly cpuMsPerS: number;
  /** Datagrams that the contestant sent, per second of the window. */
  readonly txPerS: number;
  /** Fewest sessions seen up by either end during the window. */
  readonly fewestUp: number;
  /** Sessions that went down during the window. */
  readonly downs: number;
  /** Kernel routes at the end of the window; `null` for contestants without. */
  readonly routes: number | null;
  /** Resident memory at the end of the window. */
  readonly rssMb: number;
}

/** Runs it once. `windowMs` is the length of the steady window. */
export async function measure(
  contestant: Contestant,
  load: Load,
  windowMs: number,
  programs: Programs,
  signal: AbortSignal,
): Promise<Measurement> {
  await using lab = await Lab.create();
  const start = await contestant.prepare(lab, load, programs);
  const { port, packetBytes } = contestant;
  const peers = lab.startPeers(programs.farside, load.sessions, load.intervalMs, port, packetBytes);
  await peers.sample();
  const begun = performance.now();
  const program = lab.startContestant(contestant.name, start.argv, start.env ?? {});
  const routes = contestant.routes ? () => countRoutes(lab) : () => Promise.resolve(null);

  const upAfterMs = await allUp(load.sessions, begun, peers, program, routes, signal);
  await until(performance.now() + SETTLE_MS, peers, program, signal);
  const window = await watch(windowMs, peers, program, signal);
  return { upAfterMs, ...window, routes: await routes(), rssMb: program.rssMb() };
}

/** Milliseconds since `begun` when everything was up first; `null` when patience ends before. */
async function allUp(
  sessions: number,
  begun: number,
  peers: FarSide,
  program: Program,
  routes: () => Promise<number | null>,
  signal: AbortSignal,
): Promise<number | null> {
  while (performance.now() < begun + UP_PATIENCE_MS) {
    const seen = await next(peers, program, signal);
    if (seen.up !== sessions || seen.remote_up !== sessions) continue;
    const after = performance.now() - begun;
    const installed = await routes();
    if (installed === null || installed === sessions) return after;
  }
  return null;
}

async function watch(windowMs: number, peers: FarSide, program: Program, signal: AbortSignal) {
  const first = await next(peers, program, signal);
  const begun = performance.now();
  const cpu = program.cpuMs();
  let fewestUp = Infinity;
  let last = first;
  while (performance.now() < begun + windowMs) {
    last = await next(peers, program, signal);
    fewestUp = Math.min(fewestUp, last.up, last.remote_up);
  }
  const seconds = (performance.now() - begun) / 1000;
  return {
    windowMs: Math.round(seconds * 1000),
    cpuMsPerS: (program.cpuMs() - cpu) / seconds,
    txPerS: (last.rx - first.rx) / seconds,
    fewestUp,
    downs: last.downs - first.downs,
  };
}

async function until(time: number, peers: FarSide, program: Program, signal: AbortSignal) {
  while (performance.now() < time) await next(peers, program, signal);
}

/** The far side's next report, provided that nobody has died and nobody has pressed Ctrl-C. */
async function next(peers: FarSide, program: Program, signal: AbortSignal) {
  const sample = await peers.sample();
  signal.throwIfAborted();
  program.mustRun();
  return sample;
}

async function countRoutes(lab: Lab): Promise<number> {
  const listed = await lab.near.ip(`route show table main proto ${ROUTE_PROTOCOL}`);
  return listed.split("\n").filter((line) => line !== "").length;
}
