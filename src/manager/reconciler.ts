/**
 * Reconciliation: what the kernel holds is compared with what it should hold, and the difference mended.
 *
 * {@linkcode difference} is the one comparison; whoever looks at the kernel's table calls it.
 */
import type { Kernel, KernelError } from "../kernel/kernel.ts";
import type { KernelRoute } from "../kernel/route.ts";
import type { Clock } from "../scheduler/clock.ts";
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
  const changes: Change[] = [];
  for (const entry of wanted) {
    if (entry.excluded || entry.unsettled || entry.changedAt >= listedAt) continue;
    const isPresent = present.has(entry);
    if (entry.desired && !isPresent) changes.push({ kind: "reinstall", entry });
    if (!entry.desired && isPresent && !entry.config.noUninstall) {
      changes.push({ kind: "remove", entry });
    }
  }
  return changes;
}

export interface ReconcilerOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
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
    const { kernel, clock, protocol, ready } = this.options;
    await ready;
    const startedAt = clock.now();
    const listed = await kernel.list({ protocol });
    if (listed.ok) this.#mend(listed.routes, startedAt);
    else this.#fail(listed.error);
    this.sweeps++;
    this.lastRun = clock.wall();
    this.lastTookUs = clock.now() - startedAt;
    this.#sweeping = false;
  }

  #mend(routes: readonly KernelRoute[], listedAt: number): void {
    this.lastError = null;
    const { kernel, wanted } = this.options;
    const present = new Listing(routes, kernel);
    for (const change of difference(wanted(), present, listedAt)) {
      if (change.kind === "reinstall" && !this.options.linkPresent(change.entry)) {
        this.skippedNoLink++;
        change.entry.vanished();
      } else {
        this.options.apply(change);
      }
    }
  }

  #fail(error: KernelError): void {
    this.failures++;
    this.lastError = error.text;
    this.options.failed(error);
  }
}
