/**
 * A world: machines that each run a daemon, the network between them, and everything that goes wrong, all
 * from one seed. The same seed gives the same run, event by event.
 */
import type { Config, RouteConfig } from "../../src/config/config.ts";
import type { KernelRoute, Route } from "../../src/kernel/route.ts";
import type { EventDetails, EventKind } from "../../src/observe/event.ts";
import { type Fault, FAULT_KINDS, type FaultKind, GRID_US, planFaults } from "./faults.ts";
import { DEV, Machine, type Mutation, type Surroundings } from "./machine.ts";
import { type Datagram, Network } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { Referee } from "./referee.ts";
import { Call, EventQueue } from "./time.ts";

/** How a world is laid out. */
export interface WorldOptions {
  readonly seed: number;
  /** How many machines, 2..250. */
  readonly machines?: number;
  /** What goes wrong; by default what {@linkcode planFaults} draws. */
  readonly faults?: readonly Fault[];
  /** Machines on which no daemon runs: a test plays their part. */
  readonly puppets?: readonly number[];
  /** The routes of a machine, instead of those drawn. */
  readonly routes?: (index: number) => RouteConfig[];
  /** Whether the referee looks; by default it does. */
  readonly judged?: boolean;
  /** Changes the configuration that was drawn for a machine. */
  readonly configure?: (config: Config, index: number) => Config;
  /** Makes the daemons of this world misbehave, or the network, to prove that it is noticed. */
  readonly mutation?: Mutation;
  /** Takes each line of the story. */
  readonly trace?: (line: string) => void;
}

/** How long a world lives: five minutes, µs. */
export const LIFE_US = 300_000_000;
/** Faults happen between these moments, µs: before, all come up; after, all recover. */
const FAULTS_FROM_US = 5_000_000;
const FAULTS_UNTIL_US = 240_000_000;

/** Promise callbacks run in rounds; an answer of the kernel has all its consequences within this many. */
const ROUNDS = 24;

export class World implements Surroundings {
  readonly queue = new EventQueue();
  readonly random: SeededRandom;
  readonly network: Network;
  readonly machines: Machine[] = [];
  readonly referee: Referee;
  /** How often each kind of fault happened: it began, and there was something to break. */
  readonly happened = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<
    FaultKind,
    number
  >;
  /** How often daemons reported each kind of event. */
  readonly reports = new Map<EventKind, number>();
  readonly #neighbours: Set<number>[];
  readonly #trace: ((line: string) => void) | null;
  #hash = 0x811c9dc5;
  #unsettled = false;

  constructor(readonly options: WorldOptions) {
    const size = options.machines ?? 10;
    this.#trace = options.trace ?? null;
    this.random = new SeededRandom(options.seed, "world");
    this.network = new Network(this.queue, size, this.random.fork("network"));
    this.network.watch = (from, to, datagram) => this.#delivered(from, to, datagram);
    this.#neighbours = layOut(this.random.fork("topology"), size);
    for (let index = 0; index < size; index++) this.#addMachine(index);
    this.#setDelays(this.random.fork("delays"));
    this.referee = new Referee(this);
    for (const machine of this.machines) {
      if (!options.puppets?.includes(machine.index)) machine.start();
    }
    this.#scheduleFaults(
      options.faults ?? planFaults(this.random.fork("faults"), FAULTS_FROM_US, FAULTS_UNTIL_US),
    );
    if (options.judged ?? true) this.#scheduleLook(GRID_US);
  }

  /** The hash of all that happened so far: datagrams delivered and events reported, with their times. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** Lets the world go on until `until` (µs). Throws what the referee finds. */
  async run(until = LIFE_US): Promise<void> {
    await this.#settle();
    while (this.queue.step(until)) {
      if (this.#unsettled) await this.#settle();
    }
    this.queue.now = until;
  }

  /** Lives the whole life and is judged at its end. Throws what the referee finds. */
  async live(): Promise<void> {
    await this.run();
    this.referee.finish();
  }

  unsettled(): void {
    this.#unsettled = true;
  }

  appeared(machine: Machine, route: Route): void {
    this.referee.appeared(machine, route);
  }

  reported(machine: Machine, kind: EventKind, details: EventDetails): void {
    this.reports.set(kind, (this.reports.get(kind) ?? 0) + 1);
    const { session, route, from, to, reason } = details;
    if (session !== undefined && to === "up") {
      this.referee.cameUp(machine, this.machineAt(session.peer));
    }
    const about = route === undefined
      ? session?.peer ?? ""
      : `${route.dst} via ${route.via} table ${route.table}`;
    const text = `${machine.index} ${kind} ${about} ${from ?? ""} ${to ?? ""} ${reason ?? ""}`;
    this.#note(this.queue.now);
    for (let i = 0; i < text.length; i++) this.#note(text.charCodeAt(i));
    this.#tell(`machine ${machine.index}`, `${kind} ${JSON.stringify(details)}`);
  }

  machineAt(address: string): Machine {
    const found = this.machines.find((machine) => machine.address === address);
    if (found === undefined) throw new Error(`no machine has the address ${address}`);
    return found;
  }

  /** The machines to which `machine` has routes by configuration. */
  peersOf(machine: Machine): Machine[] {
    return [...this.#neighbours[machine.index]!].map((index) => this.machines[index]!);
  }

  /** What the daemon on `machine` has in the kernel for its wanted routes. */
  daemonRoutes(machine: Machine): KernelRoute[] {
    const { protocol } = machine.config.kernel;
    const tables = new Set(machine.routes.map((route) => route.table));
    return machine.kernel.routes({ protocol }).filter((route) => tables.has(route.table));
  }

  /** Starts the daemon as soon as the one that is stopping has exited. */
  startWhenStopped(machine: Machine): void {
    if (machine.process === null) machine.start();
    else this.queue.call(this.queue.now + GRID_US, () => this.startWhenStopped(machine));
  }

  #addMachine(index: number): void {
    const random = this.random.fork(`machine ${index}`);
    const drawn = drawConfig(random.fork("config"));
    const config = this.options.configure?.(drawn, index) ?? drawn;
    const host = this.network.hosts[index]!;
    const machine = new Machine(this, host, addressOf(index), random, config);
    const peers = [...this.#neighbours[index]!];
    machine.routes = this.options.routes?.(index) ??
      peers.flatMap((peer) => drawRoutes(random.fork(`routes ${peer}`), index, peer));
    machine.mutation = this.options.mutation ?? {};
    this.machines.push(machine);
  }

  /** Delay and jitter of each link: a path's two directions need not be alike. */
  #setDelays(random: SeededRandom): void {
    for (const { index: from } of this.machines) {
      for (const to of this.#neighbours[from]!) {
        const link = this.network.link(from, to);
        link.delayUs = random.between(100, 40_000);
        link.jitterUs = random.between(0, 5_000);
      }
    }
  }

  #scheduleFaults(faults: readonly Fault[]): void {
    for (const fault of faults) {
      this.queue.call(fault.at, () => {
        const undo = fault.begin(this);
        if (undo === null) return;
        this.happened[fault.kind]++;
        this.#tell("fault", `${fault.kind} begins: ${undo.what}`);
        this.queue.call(fault.until, () => {
          undo.end();
          this.#tell("fault", `${fault.kind} ends: ${undo.what}`);
        });
      });
    }
  }

  /** The referee looks after the faults of the same moment: those were scheduled earlier. */
  #scheduleLook(at: number): void {
    const look = new Call(() => {
      this.queue.schedule(look, this.queue.now + GRID_US);
      this.referee.look();
    });
    this.queue.schedule(look, at);
  }

  async #settle(): Promise<void> {
    this.#unsettled = false;
    for (let round = 0; round < ROUNDS; round++) await null;
  }

  #delivered(from: number, to: number, { words }: Datagram): void {
    this.#note(this.queue.now);
    this.#note(from * 256 + to);
    this.#note(words[0]!);
    this.#note(words[2]!);
  }

  #note(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193) ^ (this.#hash >>> 15);
  }

  #tell(who: string, what: string): void {
    this.#trace?.(`${(this.queue.now / 1e6).toFixed(6).padStart(11)} ${who.padEnd(10)} ${what}`);
  }
}

/** A ring, so that nobody is alone, and half as many chords: three peers on average. */
function layOut(random: SeededRandom, size: number): Set<number>[] {
  const neighbours = Array.from({ length: size }, () => new Set<number>());
  const join = (a: number, b: number) => {
    if (a === b) return;
    neighbours[a]!.add(b);
    neighbours[b]!.add(a);
  };
  for (let index = 0; index < size; index++) join(index, (index + 1) % size);
  for (let left = size / 2; left > 0; left--) {
    join(random.between(0, size - 1), random.between(0, size - 1));
  }
  return neighbours;
}

export function addressOf(index: number): string {
  return `10.0.0.${index + 1}`;
}

/** A route to the peer itself and sometimes one to what lies behind it, on the same session. */
function drawRoutes(random: SeededRandom, index: number, peer: number): RouteConfig[] {
  const common = {
    via: `10.1.0.${peer + 1}`,
    dev: DEV,
    src: addressOf(index),
    probe: addressOf(peer),
  };
  const noUninstall = random.chance(0.05);
  const host = { ...common, table: 254, dst: `${addressOf(peer)}/32`, noUninstall };
  if (random.chance(0.7)) return [host];
  return [host, { ...common, table: 100, dst: `172.16.${peer}.0/24`, noUninstall: false }];
}

/** Parameters that differ from machine to machine, within what operators set. */
function drawConfig(random: SeededRandom): Config {
  const interval = () => random.pick([200_000, 300_000, 300_000, 500_000, 1_000_000]);
  return {
    mode: "active",
    liveness: {
      bind: "0.0.0.0",
      port: 44880,
      txMinUs: interval(),
      rxMinUs: interval(),
      detectMult: random.between(3, 5),
      minTxFloorUs: 50_000,
      maxTxCeilUs: 3_000_000,
      backoffMaxUs: random.pick([1_000_000, 5_000_000, 20_000_000]),
      maxEvents: random.pick([1, 10_240]),
      honorPeerPassive: true,
      clientVersion: "0.1.0",
    },
    kernel: {
      protocol: 186,
      reconcileIntervalUs: random.pick([5_000_000, 10_000_000, 30_000_000]),
      onShutdown: random.pick<"keep" | "withdraw">(["keep", "withdraw"]),
    },
    routes: [],
    probePath: { table: 44880, mark: 44880, rulePriority: 90 },
    exclude: [],
    metrics: { listen: null, peerMetrics: false },
    api: { socket: "/nonexistent/livenessd.sock", group: null },
    state: { file: null },
    log: { level: "error", format: null },
  };
}
