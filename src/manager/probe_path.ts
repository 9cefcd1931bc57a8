/**
 * The way that probes take: out of the route's interface towards its next hop, installed or not.
 *
 * Without it a withdrawn route on Ethernet could never prove itself alive again, because the kernel would
 * look for the destination itself on the link. The probe sockets carry a firewall mark, one rule sends the
 * mark to a table of our own, and that table leads to the next hops. On point-to-point links nothing is
 * needed: the socket is bound to the interface and the interface has one far end.
 *
 * The first next hop behind an interface becomes the table's default route out of that interface, which
 * all its sessions share: thousands of peers behind one gateway need one route, and the kernel finds it
 * sooner than one of thousands. Sessions with another next hop have a host route each. Each interface
 * has a metric of its own, and the kernel picks the route whose interface the socket is bound to. Sessions
 * of several local addresses through one interface share the way, which therefore names no source.
 */
import type { Kernel, KernelError, KernelResult, MarkRule } from "../kernel/kernel.ts";
import { type KernelRoute, type Route, routeIdentity } from "../kernel/route.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Slices } from "../scheduler/slices.ts";

/** One route of the table and who uses it. */
export interface ProbeWay {
  readonly key: string;
  readonly route: Route;
  /** Sessions whose probes take it. */
  users: number;
  /** The kernel has been asked for it and has not answered. */
  pending: boolean;
  /** It was asked for once more meanwhile: what was answered may be older than the reason. */
  again: boolean;
  /** When the kernel was last asked for it, µs. */
  askedAt: number;
}

export interface ProbePathOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly slices: Slices;
  readonly table: number;
  readonly mark: number;
  readonly rulePriority: number;
  readonly protocol: number;
  /** The kernel refused `what`, in words, for the `times`th time in a row. */
  readonly failed: (what: string, error: KernelError, times: number) => void;
}

const DEFAULT = "0.0.0.0/0";
/** A way whose sessions get no answer is asked for anew this often at most, however many they are, µs. */
const RENEW_GAP_US = 250_000;

export class ProbePath {
  failures = 0;
  /** The kernel's last refusal; `null` when the last request went well. */
  lastError: KernelError | null = null;
  readonly #options: ProbePathOptions;
  /** The rule that leads marked packets to the table. */
  readonly rule: MarkRule;
  /** Ways in use: one by interface for its default route, others by interface and peer. */
  readonly #ways = new Map<string, ProbeWay>();
  /** Metrics of the interfaces that were ever used. */
  readonly #metrics = new Map<string, number>();
  /** Refusals in a row, by what was refused. */
  readonly #refusals = new Map<string, number>();
  /** What the sweep under way must not remove; a session that begins meanwhile adds to it. */
  #wanted = new Set<string>();
  #sweeping = false;
  /** Told to stop: a sweep that is under way must not bring back what is being removed. */
  #stopped = false;

  constructor(options: ProbePathOptions) {
    this.#options = options;
    const { mark, table, rulePriority, protocol } = options;
    this.rule = { mark, table, priority: rulePriority, protocol };
  }

  /** Adds the rule; one that a killed run left is adopted. */
  async start(): Promise<void> {
    await this.#addRule();
  }

  /** Makes the way for a session to `peer`, or shares the one that is there. To be given back. */
  take(peer: string, via: string, dev: string): ProbeWay {
    // A peer on the link is its own next hop, and nobody else's.
    const way = (via === peer ? null : this.#shared(via, dev)) ?? this.#own(peer, via, dev);
    way.users++;
    if (way.users === 1) this.restore(way);
    return way;
  }

  /** Asks for the way again: the kernel drops it with its link. */
  restore(way: ProbeWay): void {
    if (this.#stopped) return;
    if (this.#sweeping) this.#wanted.add(probeIdentity(way.route));
    if (way.pending) way.again = true;
    else this.#make(way);
  }

  /** Asks for the way again because probes get no answer; not too often. */
  renew(way: ProbeWay): void {
    if (this.#options.clock.now() >= way.askedAt + RENEW_GAP_US) this.restore(way);
  }

  /** Gives back a session's way; with the last one it goes. */
  giveBack(way: ProbeWay): void {
    if (--way.users > 0) return;
    this.#ways.delete(way.key);
    this.#refusals.delete(routeWords(way.route));
    this.#options.kernel.delete(way.route);
  }

  /** Mends our table: what vanished comes back, what nobody uses (a killed run's routes) goes. */
  async sweep(): Promise<void> {
    if (this.#sweeping) return;
    this.#sweeping = true;
    try {
      await this.#sweep();
    } finally {
      this.#sweeping = false;
    }
  }

  async #sweep(): Promise<void> {
    const { kernel, table, protocol } = this.#options;
    const listed = await kernel.list({ table, protocol });
    if (this.#stopped) return;
    this.#note("the list of probe routes", listed);
    if (!listed.ok) return;
    await this.#mend(listed.routes);
    if (!this.#stopped) await this.#addRule();
  }

  async #mend(listed: Iterable<KernelRoute>): Promise<void> {
    const { slices } = this.#options;
    const present = new Set<string>();
    const wanted = this.#wanted = new Set<string>();
    await slices.run(listed, (route) => present.add(probeIdentity(route)));
    await slices.run(this.#ways.values(), (way) => {
      const identity = probeIdentity(way.route);
      wanted.add(identity);
      if (!present.has(identity)) this.restore(way);
    });
    await slices.run(listed, (route) => {
      if (!wanted.has(probeIdentity(route))) this.#removeUnused(route);
    });
    this.#wanted = new Set();
  }

  #removeUnused({ dst, via, src, metric }: KernelRoute): void {
    if (this.#stopped || via === null) return;
    const { kernel, table, protocol } = this.#options;
    kernel.delete({ table, dst, via, src, dev: null, protocol, metric });
  }

  /** Removes every probe route and the rule. */
  async stop(): Promise<void> {
    const { kernel } = this.#options;
    this.#stopped = true;
    const deletions = [...this.#ways.values()].map(({ route }) => kernel.delete(route));
    await Promise.all([...deletions, kernel.deleteRule(this.rule)]);
  }

  async #addRule(): Promise<void> {
    this.#note("the rule for marked probes", await this.#options.kernel.addRule(this.rule));
  }

  /** The default way out of the interface, when it has the same next hop or there is none yet. */
  #shared(via: string, dev: string): ProbeWay | null {
    const way = this.#ways.get(dev) ?? this.#add(dev, DEFAULT, via, dev);
    return way.route.via === via ? way : null;
  }

  /** A way to one peer: its next hop is not the one that most of the interface's sessions have. */
  #own(peer: string, via: string, dev: string): ProbeWay {
    const key = `${dev} ${peer}`;
    return this.#ways.get(key) ?? this.#add(key, `${peer}/32`, via, dev);
  }

  #add(key: string, dst: string, via: string, dev: string): ProbeWay {
    const { table, protocol } = this.#options;
    const route = { table, dst, via, src: null, dev, protocol, metric: this.#metricOf(dev) };
    const way = { key, route, users: 0, pending: false, again: false, askedAt: -Infinity };
    this.#ways.set(key, way);
    return way;
  }

  async #make(way: ProbeWay): Promise<void> {
    const { kernel, clock } = this.#options;
    way.pending = true;
    way.again = false;
    way.askedAt = clock.now();
    this.#note(routeWords(way.route), await kernel.replace(way.route));
    way.pending = false;
    if (way.again && way.users > 0) this.restore(way);
  }

  #metricOf(dev: string): number {
    let metric = this.#metrics.get(dev);
    if (metric === undefined) this.#metrics.set(dev, metric = this.#metrics.size + 1);
    return metric;
  }

  #note(what: string, result: KernelResult): void {
    this.lastError = result.ok ? null : result.error;
    if (result.ok) {
      this.#refusals.delete(what);
    } else if (result.error.code !== "closed") {
      const times = (this.#refusals.get(what) ?? 0) + 1;
      this.#refusals.set(what, times);
      this.failures++;
      this.#options.failed(what, result.error, times);
    }
  }
}

function routeWords({ dst, via, dev }: Route): string {
  return `the probe route to ${dst} via ${via} dev ${dev}`;
}

function probeIdentity(route: Parameters<typeof routeIdentity>[0]): string {
  return `${routeIdentity(route)} ${route.metric ?? 0}`;
}
