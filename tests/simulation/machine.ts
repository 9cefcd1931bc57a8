/** A machine of the world: its network address, its kernel, and the daemon process that comes and goes. */
import type { Config, RouteConfig } from "../../src/config/config.ts";
import type { KernelChange, KernelErrorCode } from "../../src/kernel/kernel.ts";
import { MemoryKernel, type MemoryRequest } from "../../src/kernel/memory_kernel.ts";
import type { Route } from "../../src/kernel/route.ts";
import type { EventDetails, EventKind } from "../../src/observe/event.ts";
import { type SimulatedDaemon, startDaemon } from "./daemon.ts";
import { type Host, parseAddress } from "./network.ts";
import { type KernelLie, ProcessKernel } from "./process_kernel.ts";
import type { SeededRandom } from "./random.ts";
import { MachineState } from "./state.ts";
import { type EventQueue, SimulatedClock } from "./time.ts";
import { SimulatedTransport } from "./transport.ts";

/** The interface that every machine has. */
export const DEV = "tun0";

/** How soon a prompt notification comes, and how late a late one, µs. */
const PROMPT_US = 200;
const LATE_US = 300_000;

/** What a machine needs of the world that it is in. */
export interface Surroundings {
  readonly queue: EventQueue;
  /** A promise was settled: its consequences must run before the next event. */
  unsettled(): void;
  /** The kernel of `machine` gets a route that it did not have. */
  appeared(machine: Machine, route: Route): void;
  /** A daemon reports something. */
  reported(machine: Machine, kind: EventKind, details: EventDetails): void;
}

/** Which requests a failing kernel refuses. */
export type KernelFailure = MemoryRequest["kind"] | "all";

/** How a machine differs from an honest one, for worlds that must be caught. */
export interface Mutation {
  readonly kernel?: KernelLie;
  /** What the daemon makes of its configuration, without the referee's knowledge. */
  readonly misread?: (config: Config) => Config;
}

/** One run of the daemon, from start to exit. */
export class Process {
  readonly clock: SimulatedClock;
  readonly transport: SimulatedTransport;
  readonly kernel: ProcessKernel;
  readonly daemon: SimulatedDaemon;
  /** Since when it runs without a break, µs; Infinity while it is stalled. */
  runsSince: number;
  readonly startedAt: number;
  /** When it was told to stop, µs; Infinity before. */
  stopsSince = Infinity;
  /** Peers whose session an operator took down. */
  readonly adminDown = new Set<string>();
  /** Routes that a former run has recorded, by table and destination. */
  readonly recalled: ReadonlySet<string>;
  #stalls = 0;
  #commands: ((daemon: SimulatedDaemon) => void)[] = [];

  constructor(readonly machine: Machine, serial: number) {
    const { host, surroundings, random, routes, mutation } = machine;
    const config = mutation.misread?.(machine.config) ?? machine.config;
    const own = random.fork(`process ${serial}`);
    this.clock = new SimulatedClock(surroundings.queue, {
      start: own.between(0, 2 ** 40),
      skewPpm: own.between(-200, 200),
    });
    this.transport = new SimulatedTransport(host, config.liveness.port);
    this.kernel = new ProcessKernel(machine.kernel, mutation.kernel);
    this.recalled = machine.state.routes();
    this.startedAt = this.runsSince = surroundings.queue.now;
    this.daemon = startDaemon({ ...config, routes }, {
      clock: this.clock,
      transport: this.transport,
      kernel: this.kernel,
      random: own,
      state: machine.state,
      report: (kind, details) => surroundings.reported(machine, kind, details),
    });
  }

  get stopping(): boolean {
    return this.stopsSince !== Infinity;
  }

  get stalled(): boolean {
    return this.#stalls > 0;
  }

  /** An operator tells the daemon something; it does so when it runs, and never if it ends before. */
  command(action: (daemon: SimulatedDaemon) => void): void {
    if (this.machine.process !== this || this.stopping) return;
    if (this.stalled) this.#commands.push(action);
    else action(this.daemon);
    this.machine.surroundings.unsettled();
  }

  /** The process does not run, as under SIGSTOP. Stalls may overlap. */
  stall(): void {
    if (this.#stalls++ > 0) return;
    this.runsSince = Infinity;
    this.clock.stall();
    this.transport.stall();
  }

  resume(): void {
    if (--this.#stalls > 0) return;
    this.runsSince = this.clock.queue.now;
    this.transport.resume();
    this.clock.resume();
    for (const action of this.#commands.splice(0)) this.command(action);
  }

  /** The process is gone without a word. */
  die(): void {
    this.kernel.close();
    this.clock.stop();
    this.transport.abandon();
  }
}

export class Machine {
  readonly kernel: MemoryKernel;
  readonly state = new MachineState();
  process: Process | null = null;
  /** Routes wanted on this machine now, by configuration or over the API. */
  routes: RouteConfig[] = [];
  /** Time in which the kernel answers, µs: uniform in 20..this. */
  kernelLatencyUs = 500;
  /** Its kernel tells nobody of changes, as when notifications are lost. */
  kernelIsMute = false;
  /** Every notification comes once and at once. */
  kernelIsPrompt = false;
  /** Requests that injected failures have refused. */
  refusals = 0;
  mutation: Mutation = {};
  /** Notifications of the kernel that did not come once and at once. */
  readonly notifications = { late: 0, repeated: 0, lost: 0 };
  #failures: { readonly what: KernelFailure; readonly code: KernelErrorCode }[] = [];
  #held: (() => void)[] = [];
  #started = 0;
  #lastAnswerAt = 0;
  readonly #luck: SeededRandom;

  constructor(
    readonly surroundings: Surroundings,
    readonly host: Host,
    readonly address: string,
    readonly random: SeededRandom,
    public config: Config,
  ) {
    host.addAddress(address, DEV);
    const latency = random.fork("kernel");
    this.#luck = random.fork("notifications");
    this.kernel = new MemoryKernel({
      schedule: (answer) => {
        const at = surroundings.queue.now + latency.between(20, this.kernelLatencyUs);
        this.#lastAnswerAt = Math.max(at, this.#lastAnswerAt);
        surroundings.queue.call(at, () => this.#answer(answer));
      },
      notify: (change, tell) => this.#notify(change, tell),
    });
    this.kernel.failWhen((request) => this.#failureOf(request));
  }

  get index(): number {
    return this.host.index;
  }

  get hasAddress(): boolean {
    return this.host.addresses.get(parseAddress(this.address)) === DEV;
  }

  /** True while the daemon here runs and probes the machine at `peer`. */
  talksTo(peer: string): boolean {
    const { process } = this;
    return process !== null && !process.stalled && !process.stopping &&
      !process.adminDown.has(peer) && this.routes.some((route) => route.probe === peer);
  }

  /** Whether the kernel holds this very route. */
  holds({ table, dst, via, src }: RouteConfig): boolean {
    const { protocol } = this.config.kernel;
    return this.kernel.has({ table, dst, via, src, dev: DEV, protocol });
  }

  /** True while the kernel refuses requests, or answers some later than `promptUs` from now. */
  kernelTroubled(promptUs: number): boolean {
    return this.#failures.length > 0 || this.kernelLatencyUs > promptUs ||
      this.#lastAnswerAt > this.surroundings.queue.now + promptUs;
  }

  /**
   * Brings a notification of the kernel: soon, late, twice or never. One that is lost is followed by an
   * overrun, as in Linux, or by nothing, so that the sweep has something to find.
   */
  #notify(change: KernelChange, tell: () => void): void {
    const random = this.#luck;
    const bring = (longestUs: number, action: () => void) => {
      const { queue } = this.surroundings;
      queue.call(queue.now + random.between(20, longestUs), () => this.#answer(action));
    };
    if (this.kernelIsMute) return;
    const luck = this.kernelIsPrompt || change.kind === "overrun" ? 0 : random.fraction();
    if (luck < 0.6) return bring(PROMPT_US, tell);
    if (luck < 0.8) {
      this.notifications.late++;
      return bring(LATE_US, tell);
    }
    if (luck < 0.9) {
      this.notifications.repeated++;
      bring(LATE_US, tell);
      return bring(LATE_US, tell);
    }
    this.notifications.lost++;
    if (luck < 0.95) this.kernel.overrun();
  }

  /** Starts the daemon; it must not be running. */
  start(): void {
    if (this.process !== null) throw new Error(`machine ${this.index} runs a daemon already`);
    this.process = new Process(this, ++this.#started);
    this.surroundings.unsettled();
  }

  /** Ends the daemon as kill -9 does. */
  crash(): void {
    this.process?.die();
    this.process = null;
    this.release();
  }

  /** Ends the daemon as SIGTERM does; settles when it has exited. */
  async stop(): Promise<void> {
    const process = this.process;
    if (process === null) return;
    process.stopsSince = this.surroundings.queue.now;
    await process.daemon.stop();
    if (this.process !== process) return;
    process.die();
    this.process = null;
  }

  /** The process is stopped and later continued. */
  resume(process: Process): void {
    process.resume();
    if (!process.stalled && this.process === process) this.release();
  }

  /** From now on the kernel refuses such requests; call the result to end it. */
  failKernel(what: KernelFailure, code: KernelErrorCode): () => void {
    const failure = { what, code };
    this.#failures.push(failure);
    return () => {
      this.#failures = this.#failures.filter((other) => other !== failure);
    };
  }

  /** Hands out the answers that were held back while the process was stalled. */
  release(): void {
    for (const answer of this.#held.splice(0)) this.#answer(answer);
  }

  #answer(answer: () => void): void {
    if (this.process?.stalled === true) {
      this.#held.push(answer);
      return;
    }
    answer();
    this.surroundings.unsettled();
  }

  #failureOf(request: MemoryRequest): KernelErrorCode | null {
    for (const { what, code } of this.#failures) {
      if (what !== "all" && what !== request.kind) continue;
      this.refusals++;
      return code;
    }
    if (request.kind === "replace" && !this.kernel.has(request.route)) {
      this.surroundings.appeared(this, request.route);
    }
    return null;
  }
}
