/** A run of one contestant: start, wait until all is up, watch windows of time. */
import { Client, type Scrape } from "./client.ts";
import { type Contestant, controlSocket, type Load, ROUTE_PROTOCOL } from "./contestants.ts";
import type { Programs } from "./contestants.ts";
import { type FarSample, type FarSide, Lab, type Program } from "./lab.ts";

/** How long a contestant may take to bring all sessions up before the run goes on without it. */
const UP_PATIENCE_MS = 60_000;
/** livenessd's metrics are scraped this often, as an operator's Prometheus does. */
const SCRAPE_MS = 5_000;

/** What a window of steady operation found. */
export interface Window {
  /** Length of the window. */
  readonly ms: number;
  /** CPU time, user and system, in ms per second of the window. */
  readonly cpuMsPerS: number;
  /** Time per second in which it was ready to run but others had its core, in ms. */
  readonly waitedMsPerS: number;
  /** Datagrams that the contestant sent, per second of the window. */
  readonly txPerS: number;
  /** Fewest sessions seen up by either end during the window. */
  readonly fewestUp: number;
  /** Sessions up, as the far side has it, on average over the window. */
  readonly meanUp: number;
  /** Sessions that went down during the window, as the far side has it. */
  readonly downs: number;
  /** livenessd's own: what it counted, and the latest that its loop ran in ms; `null` for others. */
  readonly own: { readonly downs: number; readonly lagMaxMs: number } | null;
}

/** What every run shares. */
export interface Setting {
  readonly programs: Programs;
  readonly signal: AbortSignal;
  /** Scheduling priority of all that is measured, see nice(1). */
  readonly nice: number;
}

/** One contestant at work. Dispose of it to end everything. */
export class Run implements AsyncDisposable {
  private constructor(
    readonly lab: Lab,
    readonly load: Load,
    readonly peers: FarSide,
    readonly program: Program,
    /** For contestants with an API: livenessd. */
    readonly client: Client | null,
    private readonly contestant: Contestant,
    private readonly signal: AbortSignal,
    private readonly begun: number,
    private readonly stack: AsyncDisposableStack,
  ) {}

  /**
   * Starts the peers, then the contestant.
   * @param talkative per cent of the peers that never fall silent
   * @param line gets what the contestant prints
   */
  static async start(
    contestant: Contestant,
    load: Load,
    { programs, signal, nice }: Setting,
    talkative = 0,
    line?: (text: string) => void,
  ): Promise<Run> {
    await using stack = new AsyncDisposableStack();
    const lab = stack.use(await Lab.create(nice));
    await lab.addForeignRoutes(load.foreignRoutes ?? 0);
    const start = await contestant.prepare(lab, load, programs);
    const { port, packetBytes: length } = contestant;
    const peers = lab.startPeers(programs.farside, { ...load, port, length, talkative });
    await peers.sample();
    const begun = performance.now();
    const { argv, env } = start;
    const program = lab.startContestant(contestant.name, argv, env, line, load.bothCores);
    const client = contestant.routes ? stack.use(new Client(controlSocket(lab.directory))) : null;
    const moved = stack.move();
    return new Run(lab, load, peers, program, client, contestant, signal, begun, moved);
  }

  /** Milliseconds from exec until everything was up as both ends say, and every route in the kernel; `null`: never. */
  async allUp(): Promise<number | null> {
    while (performance.now() < this.begun + UP_PATIENCE_MS) {
      const seen = await this.next();
      if (Math.min(seen.up, seen.remote_up) !== this.load.sessions) continue;
      const after = performance.now() - this.begun;
      const installed = await this.routes();
      if (installed === null || installed === this.load.sessions) return after;
    }
    return null;
  }

  /** Waits. */
  async pass(ms: number): Promise<void> {
    for (const until = performance.now() + ms; performance.now() < until;) await this.next();
  }

  /** Watches for this long. */
  async window(ms: number): Promise<Window> {
    const scrapes = new Scraper(this.client);
    await scrapes.start();
    const first = await this.next();
    const begun = performance.now();
    const cpu = this.program.cpuMs();
    const waited = this.program.waitedMs();
    const seen: FarSample[] = [];
    while (performance.now() < begun + ms) {
      seen.push(await this.next());
      await scrapes.keepUp();
    }
    const seconds = (performance.now() - begun) / 1000;
    const cpuMsPerS = (this.program.cpuMs() - cpu) / seconds;
    const waitedMsPerS = (this.program.waitedMs() - waited) / seconds;
    const last = seen.at(-1)!;
    return {
      ms: Math.round(seconds * 1000),
      cpuMsPerS,
      waitedMsPerS,
      txPerS: (last.rx - first.rx) / seconds,
      fewestUp: Math.min(...seen.map(({ up, remote_up }) => Math.min(up, remote_up))),
      meanUp: seen.reduce((sum, { up }) => sum + up, 0) / seen.length,
      downs: last.downs - first.downs,
      own: await scrapes.end(),
    };
  }

  /** Kernel routes that the contestant keeps; `null` when it keeps none. */
  async routes(): Promise<number | null> {
    if (!this.contestant.routes) return null;
    const listed = await this.lab.near.ip(`route show table main proto ${ROUTE_PROTOCOL}`);
    return listed.split("\n").filter((line) => line !== "").length;
  }

  /** The far side's next report, provided that nobody has died and nobody has pressed Ctrl-C. */
  async next(): Promise<FarSample> {
    const sample = await this.peers.sample();
    this.signal.throwIfAborted();
    this.program.mustRun();
    return sample;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stack.disposeAsync();
  }
}

/** Scrapes every few seconds; each scrape tells the greatest loop lag since the one before. */
class Scraper {
  #due = Infinity;
  #before: Scrape | null = null;
  #lagMaxMs = 0;

  constructor(private readonly client: Client | null) {}

  async start(): Promise<void> {
    if (this.client === null) return;
    this.#before = await this.client.scrape();
    this.#due = performance.now() + SCRAPE_MS;
  }

  async keepUp(): Promise<void> {
    if (performance.now() < this.#due) return;
    this.#due += SCRAPE_MS;
    this.#note(await this.client!.scrape());
  }

  async end(): Promise<Window["own"]> {
    if (this.client === null || this.#before === null) return null;
    const last = await this.client.scrape();
    this.#note(last);
    return { downs: last.downs - this.#before.downs, lagMaxMs: this.#lagMaxMs };
  }

  #note(scrape: Scrape): void {
    const lagMs = scrape.sum("livenessd_loop_lag_max_seconds") * 1000;
    this.#lagMaxMs = Math.max(this.#lagMaxMs, lagMs);
  }
}
