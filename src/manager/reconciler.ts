/**
 * Reconciliation: what the kernel holds is compared with what it should hold, and the difference mended.
 *
 * {@linkcode changeFor} is the one comparison; a sweep calls it for each wanted route in turn.
 */
import type { Kernel, KernelError } from "../kernel/kernel.ts";
import type { KernelRoute } from "../kernel/route.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Slices } from "../scheduler/slices.ts";
import { Listing } from "./listing.ts";
import type { RouteEntry } from "./route_entry.ts";

/** What is to be done about one route. */
export interface Change {
  readonly kind: "reinstall" | "remove";
  readonly entry: RouteEntry;
}

/**
 * Compares wanted routes with a listing of the kernel's routes of our protocol that was begun at
 * `listedAt` (µs).
 *
 * Not reported: excluded routes; routes about which the kernel has spoken since the listing began (the
 * listing is older than what we know); routes with a request under way, which will settle by itself;
 * `no_uninstall` routes that are there without being desired, because they are never taken away.
 */
export function difference(
  wanted: Iterable<RouteEntry>,
  present: Listing,
  listedAt: number,
): Change[] {
  return Array.from(wanted, (entry) => changeFor(entry, present, listedAt))
    .filter((change) => change !== null);
}

/** The comparison for one route; `null` when nothing is to be done. */
function changeFor(entry: RouteEntry, present: Listing, listedAt: number): Change | null {
  if (entry.excluded || entry.unsettled || entry.changedAt >= listedAt) return null;
  const isPresent = present.has(entry);
  if (entry.desired) return isPresent ? null : { kind: "reinstall", entry };
  return isPresent && !entry.config.noUninstall ? { kind: "remove", entry } : null;
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
  async #mend(routes: readonly KernelRoute[], listedAt: number): Promise<void> {
    this.lastError = null;
    const { kernel, wanted, slices } = this.options;
    const present = new Listing([], kernel);
    await slices.run(routes, (route) => present.add(route));
    await slices.run(wanted(), (entry) => {
      const change = changeFor(entry, present, listedAt);
      if (change !== null) this.#apply(change);
    });
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
