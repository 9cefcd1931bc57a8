/** A manager on a clock that stands still, a network of one test's words and a kernel in memory. */
import type { RouteConfig } from "../../../src/config/config.ts";
import { MemoryKernel } from "../../../src/kernel/memory_kernel.ts";
import type { KernelRoute, Route } from "../../../src/kernel/route.ts";
import type { HistogramSink } from "../../../src/manager/local_end.ts";
import { Manager, type ManagerOptions } from "../../../src/manager/manager.ts";
import type { RouteEntry } from "../../../src/manager/route_entry.ts";
import type { SessionEntry } from "../../../src/manager/session_entry.ts";
import type { RouteSnapshot, SessionSnapshot } from "../../../src/manager/snapshot.ts";
import type { EventDetails, EventKind } from "../../../src/observe/event.ts";
import { ControlPacket, encode, FLAG_PASSIVE, State } from "../../../src/protocol/packet.ts";
import { addressKey } from "../../../src/transport/address.ts";
import { FakeClock } from "../scheduler/fakes.ts";
import { FakeTransport } from "./fake_transport.ts";

export const PROTOCOL = 186;
export const MAIN = 254;
export const PROBE_TABLE = 44_880;
/** The detect time of sessions whose peers have the fixture's timers, µs. */
export const DETECT_US = 900_000;
/** What every peer calls itself unless told otherwise. */
export const PEER_DISCR = 0x0b0b0b0b;

export type BenchOptions =
  & { liveness?: Partial<ManagerOptions["liveness"]> }
  & Partial<
    Pick<ManagerOptions, "mode" | "exclude" | "reconcileIntervalUs" | "state" | "protocol">
  >;

/** A wanted route to `10.1.0.N/32`, whose peer is `10.1.0.N`. */
export function route(n: number, changes: Partial<RouteConfig> = {}): RouteConfig {
  return {
    dst: `10.1.0.${n}/32`,
    via: "10.0.0.2",
    dev: "tun0",
    src: "10.0.0.1",
    table: MAIN,
    probe: `10.1.0.${n}`,
    noUninstall: false,
    ...changes,
  };
}

/** The event with what one looks at in tests. */
export interface Told extends EventDetails {
  readonly kind: EventKind;
}

export class Tally implements HistogramSink {
  readonly bounds = [];
  readonly counts = [];
  readonly seen: number[] = [];
  get sum(): number {
    return this.seen.reduce((sum, seconds) => sum + seconds, 0);
  }
  observe(seconds: number): void {
    this.seen.push(seconds);
  }
}

export class Bench {
  readonly clock = new FakeClock(5_000_000);
  readonly transport = new FakeTransport(this.clock);
  readonly kernel: MemoryKernel;
  readonly manager: Manager;
  readonly events: Told[] = [];
  /** While true the kernel takes requests and answers none; see {@linkcode answer}. */
  kernelWaits = false;
  #deaf = false;
  #answers: (() => void)[] = [];
  #discriminators = 0;

  constructor({ liveness, ...options }: BenchOptions = {}) {
    this.kernel = new MemoryKernel({
      schedule: (answer) => {
        if (this.kernelWaits) this.#answers.push(answer);
        else queueMicrotask(answer);
      },
      notify: (_change, tell) => {
        if (!this.#deaf) queueMicrotask(tell);
      },
    });
    this.manager = new Manager({
      mode: "active",
      protocol: PROTOCOL,
      reconcileIntervalUs: 30_000_000,
      probePath: { table: PROBE_TABLE, mark: 44_880, rulePriority: 90 },
      exclude: [],
      state: null,
      ...options,
      liveness: {
        bind: "0.0.0.0",
        port: 44_880,
        txMinUs: 300_000,
        rxMinUs: 300_000,
        detectMult: 3,
        minTxFloorUs: 50_000,
        maxTxCeilUs: 3_000_000,
        backoffMaxUs: 60_000_000,
        maxEvents: 10_240,
        honorPeerPassive: true,
        clientVersion: "0.1.0",
        ...liveness,
      },
      clock: this.clock,
      // No spread and no jitter: times in tests add up.
      random: { fraction: () => 0.5, discriminator: () => ++this.#discriminators },
      transport: this.transport,
      kernel: this.kernel,
      report: (kind, details) => this.events.push({ kind, ...details }),
      histogram: () => new Tally(),
      lag: new Tally(),
    });
  }

  /** A started manager that wants `routes`. */
  static async started(options: BenchOptions, ...routes: RouteConfig[]): Promise<Bench> {
    const bench = new Bench(options);
    await bench.manager.start();
    for (const route of routes) bench.register(route);
    await bench.settle();
    return bench;
  }

  /** The same, with every session Up. */
  static async up(options: BenchOptions, ...routes: RouteConfig[]): Promise<Bench> {
    const bench = await Bench.started(options, ...routes);
    for (const route of routes) bench.bringUp(route);
    await bench.settle();
    return bench;
  }

  register(config: RouteConfig): void {
    const outcome = this.manager.register(config, "config");
    if (!outcome.ok) throw new Error(outcome.message);
  }

  /** Everything that follows at this moment of time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 64; i++) await null;
  }

  /** Time passes, in whole µs. Peers say nothing by themselves. */
  async advance(us: number): Promise<void> {
    await this.settle();
    const until = this.clock.now() + us;
    while (this.clock.fireUntil(until)) await this.settle();
    this.clock.stall(until - this.clock.now());
    await this.settle();
  }

  /** The kernel answers the requests that waited, and those that follow. */
  async answer(): Promise<void> {
    this.kernelWaits = false;
    for (const answer of this.#answers.splice(0)) answer();
    await this.settle();
  }

  /** Does something to the kernel's table, a moment later, that nobody is told of. */
  silently<T>(change: () => T): T {
    this.clock.stall(1);
    this.#deaf = true;
    try {
      return change();
    } finally {
      this.#deaf = false;
    }
  }

  // ── The peer ────────────────────────────────────────────────────────────────────────────────────

  /** The route's peer says something; by default it echoes our discriminator. */
  hear(config: RouteConfig, state: State, changes: Partial<ControlPacket> = {}): void {
    const packet = Object.assign(new ControlPacket(), {
      state,
      detectMult: 3,
      localDiscr: PEER_DISCR,
      peerDiscr: this.session(config)?.session.localDiscr ?? 0,
      desiredMinTxUs: 300_000,
      requiredMinRxUs: 300_000,
      ...changes,
    });
    const bytes = new DataView(new ArrayBuffer(40));
    encode(packet, bytes, 0);
    this.transport.arrive(config.dev, config.src, config.probe, bytes);
  }

  /** The handshake of the route's session, at once. */
  bringUp(config: RouteConfig, passive = false): void {
    const flags = passive ? FLAG_PASSIVE : 0;
    this.hear(config, State.Down, { flags });
    this.hear(config, State.Up, { flags });
  }

  /** The peer has been silent for the detect time. Other sessions are kept Up. */
  async silence(config: RouteConfig, ...alive: RouteConfig[]): Promise<void> {
    for (let i = 0; i < 4; i++) {
      for (const other of alive) this.hear(other, State.Up);
      await this.advance(DETECT_US / 3);
    }
    if (this.session(config)!.session.state !== State.Down) throw new Error("it is not Down");
  }

  // ── What is seen ────────────────────────────────────────────────────────────────────────────────

  session({ dev, src, probe: peer }: RouteConfig): SessionEntry | undefined {
    return this.manager.table.find({ dev, src, peer });
  }

  entry(config: RouteConfig): RouteEntry {
    return this.manager.book.find(config)!;
  }

  shown(config: RouteConfig): RouteSnapshot {
    return [...this.manager.routes()].find(({ dst, table }) =>
      dst === config.dst && table === config.table
    )!;
  }

  shownSession(config: RouteConfig): SessionSnapshot {
    return [...this.manager.sessions()].find(({ dev, src, peer }) =>
      dev === config.dev && src === config.src && peer === config.probe
    )!;
  }

  /** The route as the kernel is asked for it. */
  inKernel({ table, dst, via, src, dev }: RouteConfig): Route {
    return { table, dst, via, src, dev, protocol: PROTOCOL };
  }

  /** Whether the kernel holds this very route. */
  holds(config: RouteConfig): boolean {
    return this.kernel.has(this.inKernel(config));
  }

  /** The route as another program finds it in the kernel. */
  found(config: RouteConfig): KernelRoute {
    const { table, dst, via, src, protocol } = this.inKernel(config);
    return { table, dst, via, src, protocol, metric: 0, ifindex: this.kernel.ifindex(config.dev) };
  }

  /** The probe routes in the kernel, by destination. */
  probeRoutes(): string[] {
    return this.kernel.routes({ table: PROBE_TABLE }).map(({ dst }) => dst);
  }

  told(kind: EventKind): Told[] {
    return this.events.filter((event) => event.kind === kind);
  }

  /** Our end's counters. */
  counters(config: RouteConfig) {
    for (const end of this.manager.table.ends()) {
      if (end.dev === config.dev && end.address === config.src) return end.counters;
    }
    throw new Error(`no end dev ${config.dev} src ${config.src}`);
  }

  /** States that were sent to the route's peer, in order. */
  sent(config: RouteConfig): ControlPacket[] {
    return this.transport.sentTo(addressKey(config.probe));
  }
}
