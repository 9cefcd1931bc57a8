/**
 * Reconciliation: what the kernel holds is compared with what it should hold, and the difference mended.
 *
 * A sweep goes through the kernel's list and notes in each wanted route that is there that it was seen;
 * then it judges the wanted routes one by one. The comparison is one of numbers and leaves nothing
 * behind that would have to be collected: a sweep must not hold up the loop, however long the list is.
 */
import type { Kernel, KernelError, RouteList } from "../kernel/kernel.ts";
import type { RouteFields, Slot } from "../kernel/route.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Slices } from "../scheduler/slices.ts";
import { InterfaceIndexes } from "./interface_indexes.ts";
import type { RouteEntry } from "./route_entry.ts";

/** What is to be done about one route. */
export interface Change {
  readonly kind: "reinstall" | "remove";
  readonly entry: RouteEntry;
}

export interface ReconcilerOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly slices: Slices;
  /** Route protocol number that is ours. */
  readonly protocol: number;
  /** No sweep begins before it is known what a former run left. */
  readonly ready: Promise<void>;
  readonly wanted: () => Iterable<RouteEntry>;
  /** The wanted route with this table and prefix. */
  readonly wantedAt: (slot: Slot) => RouteEntry | undefined;
  /** Routes whose link is gone are left alone until it returns. */
  readonly linkPresent: (entry: RouteEntry) => boolean;
  readonly apply: (change: Change) => void;
  readonly failed: (error: KernelError) => void;
}

/** Runs sweeps; one at a time. */
export class Reconciler {
  sweeps = 0;
  failures = 0;
  /** Routes left alone because their link was gone. */
  skippedNoLink = 0;
  /** Wall-clock ms of the last sweep's end, and how long it took in µs; `null` before the first. */
  lastRun: number | null = null;
  lastTookUs: number | null = null;
  lastError: string | null = null;
  #sweeping = false;

  constructor(private readonly options: ReconcilerOptions) {}

  /** Lists our routes in every table and mends what differs. Never rejects. */
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
    const { kernel, clock, protocol, ready } = this.options;
    await ready;
    const startedAt = clock.now();
    const listed = await kernel.list({ protocol });
    if (listed.ok) await this.#mend(listed.routes, startedAt);
    else this.#fail(listed.error);
    this.sweeps++;
    this.lastRun = clock.wall();
    this.lastTookUs = clock.now() - startedAt;
  }

  /** Each route is judged when its slice comes: what happened to it since the listing counts. */
  async #mend(listed: RouteList, listedAt: number): Promise<void> {
    this.lastError = null;
    const { kernel, wanted, slices } = this.options;
    const indexes = new InterfaceIndexes(kernel);
    const sweep = this.sweeps + 1;
    await slices.run(listed.fields(), (route) => {
      const entry = this.#find(route, indexes);
      if (entry !== undefined) entry.seenInSweep = sweep;
    });
    await slices.run(wanted(), (entry) => {
      const change = changeFor(entry, entry.seenInSweep === sweep, listedAt);
      if (change !== null) this.#apply(change);
    });
  }

  /**
   * The wanted route that the listed one is: the same table, prefix, next hop and source, out of the same
   * interface, at the metric that all of ours have. What differs in anything is another route.
   */
  #find(listed: Readonly<RouteFields>, indexes: InterfaceIndexes): RouteEntry | undefined {
    if (listed.metric !== 0) return undefined;
    const entry = this.options.wantedAt(listed);
    if (entry === undefined || !entry.isSame(listed)) return undefined;
    return indexes.of(entry.config.dev) === listed.ifindex ? entry : undefined;
  }

  #apply(change: Change): void {
    if (change.kind === "reinstall" && !this.options.linkPresent(change.entry)) {
      this.skippedNoLink++;
      change.entry.vanished();
    } else {
      this.options.apply(change);
    }
  }

  #fail(error: KernelError): void {
    this.failures++;
    this.lastError = error.text;
    this.options.failed(error);
  }
}

/**
 * What is to be done about a wanted route that the kernel's list, begun at `listedAt` (µs), has or has not;
 * `null` when nothing is.
 *
 * Left alone are excluded routes; routes about which the kernel has spoken since the listing began (the
 * listing is older than what we know); routes with a request under way, which will settle by itself;
 * `no_uninstall` routes that are there without being desired, because they are never taken away.
 */
function changeFor(entry: RouteEntry, isPresent: boolean, listedAt: number): Change | null {
  if (entry.excluded || entry.unsettled || entry.changedAt >= listedAt) return null;
  if (entry.desired) return isPresent ? null : { kind: "reinstall", entry };
  return isPresent && !entry.config.noUninstall ? { kind: "remove", entry } : null;
}
