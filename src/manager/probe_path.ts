/**
 * The way that probes take: out of the route's interface towards its next hop, installed or not.
 *
 * Without it a withdrawn route on Ethernet could never prove itself alive again, because the kernel would
 * look for the destination itself on the link. The probe sockets carry a firewall mark, one rule sends the
 * mark to a table of our own, and that table holds a host route for each session. On point-to-point
 * links nothing is needed: the socket is bound to the interface and the interface has one far end.
 *
 * Two sessions may probe the same address through different interfaces: each interface has a metric of
 * its own, and the kernel picks the route whose interface the socket is bound to. Sessions of several
 * local addresses through one interface share the route, which therefore names no source.
 */
import type { Kernel, KernelError, KernelResult, MarkRule } from "../kernel/kernel.ts";
import { type KernelRoute, type Route, routeIdentity } from "../kernel/route.ts";
import type { Slices } from "../scheduler/slices.ts";

export interface ProbePathOptions {
  readonly kernel: Kernel;
  readonly slices: Slices;
  readonly table: number;
  readonly mark: number;
  readonly rulePriority: number;
  readonly protocol: number;
  /** The kernel refused `what`, in words, for the `times`th time in a row. */
  readonly failed: (what: string, error: KernelError, times: number) => void;
}

export class ProbePath {
  failures = 0;
  /** The kernel's last refusal; `null` when the last request went well. */
  lastError: KernelError | null = null;
  readonly #options: ProbePathOptions;
  /** The rule that leads marked packets to the table. */
  readonly rule: MarkRule;
  /** Probe routes in use, by session key. */
  readonly #routes = new Map<string, Route>();
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

  /** Makes the way for a session, or renews it: it is created again if it vanished. */
  open(key: string, peer: string, via: string, dev: string): void {
    if (this.#stopped) return;
    let route = this.#routes.get(key);
    if (route === undefined) {
      const { table, protocol } = this.#options;
      const metric = this.#metricOf(dev);
      route = { table, dst: `${peer}/32`, via, src: null, dev, protocol, metric };
      this.#routes.set(key, route);
    }
    if (this.#sweeping) this.#wanted.add(probeIdentity(route));
    this.#make(route);
  }

  /** Closes a session's way. */
  close(key: string): void {
    const route = this.#routes.get(key);
    if (route === undefined) return;
    this.#routes.delete(key);
    this.#refusals.delete(routeWords(route));
    this.#options.kernel.delete(route);
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

  async #mend(listed: readonly KernelRoute[]): Promise<void> {
    const { slices } = this.#options;
    const present = new Set<string>();
    const wanted = this.#wanted = new Set<string>();
    await slices.run(listed, (route) => present.add(probeIdentity(route)));
    await slices.run(this.#routes.values(), (route) => {
      const identity = probeIdentity(route);
      wanted.add(identity);
      if (!present.has(identity) && !this.#stopped) this.#make(route);
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
    const deletions = [...this.#routes.values()].map((route) => kernel.delete(route));
    this.#routes.clear();
    await Promise.all([...deletions, kernel.deleteRule(this.rule)]);
  }

  async #addRule(): Promise<void> {
    this.#note("the rule for marked probes", await this.#options.kernel.addRule(this.rule));
  }

  async #make(route: Route): Promise<void> {
    this.#note(routeWords(route), await this.#options.kernel.replace(route));
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
