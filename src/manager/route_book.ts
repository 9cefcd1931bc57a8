/**
 * The book of wanted routes: which there are, what policy makes of them, what became of each request.
 *
 * A withdrawn route is forgotten first and then deleted from the kernel; until the kernel has let it go
 * its entry waits among the leaving ones, where no sweep finds it.
 */
import type { RouteConfig } from "../config/config.ts";
import type { Kernel, KernelError } from "../kernel/kernel.ts";
import { routeSlot, type Slot } from "../kernel/route.ts";
import type { EventActor, Report } from "../observe/event.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Loop } from "../scheduler/loop.ts";
import type { TimerWheel } from "../scheduler/timer_wheel.ts";
import { worthReporting } from "./backoff.ts";
import type { Contest } from "./contest.ts";
import type { RouteKeyParts } from "./manager_api.ts";
import { type Occasion, routeAction } from "./policy.ts";
import type { Change } from "./reconciler.ts";
import { sameRoute } from "./registration.ts";
import { type InstallCause, type RouteContext, RouteEntry } from "./route_entry.ts";
import type { SessionEntry } from "./session_entry.ts";
import { Slots } from "./slots.ts";
import type { RouteOrigin } from "./snapshot.ts";

export interface RouteBookOptions {
  readonly mode: "active" | "passive";
  readonly honorPeerPassive: boolean;
  /** Route protocol number that is ours. */
  readonly protocol: number;
  /** Destination addresses that are never touched. */
  readonly exclude: readonly string[];
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  readonly report: Report;
}

export class RouteBook implements RouteContext {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  readonly protocol: number;
  /** Routes that the kernel confirmed. */
  installedCount = 0;

  readonly #options: RouteBookOptions;
  readonly #report: Report;
  readonly #excluded: ReadonlySet<string>;
  readonly #wanted = new Set<RouteEntry>();
  /** The same by table and destination: the kernel holds one of a kind. */
  readonly #slots = new Slots<RouteEntry>();
  /** By {@linkcode leavingKey}: withdrawn, and not yet gone from the kernel. */
  readonly #leaving = new Map<string, RouteEntry>();

  constructor(options: RouteBookOptions) {
    this.#options = options;
    this.#report = options.report;
    this.#excluded = new Set(options.exclude);
    this.kernel = options.kernel;
    this.clock = options.clock;
    this.wheel = options.wheel;
    this.loop = options.loop;
    this.protocol = options.protocol;
  }

  /** Number of wanted routes. */
  get size(): number {
    return this.#wanted.size;
  }

  wanted(): Iterable<RouteEntry> {
    return this.#wanted;
  }

  /** Withdrawn routes that the kernel has not let go yet. */
  leaving(): Iterable<RouteEntry> {
    return this.#leaving.values();
  }

  /** Whether a destination is never touched. */
  isExcluded(dst: string): boolean {
    return this.#excluded.has(dst.slice(0, dst.indexOf("/")));
  }

  /** The wanted route with this table and destination. */
  inSlot(route: Pick<RouteConfig, "table" | "dst">): RouteEntry | undefined {
    const slot = routeSlot(route);
    return slot === null ? undefined : this.at(slot);
  }

  /** The same by numbers. */
  at(slot: Slot): RouteEntry | undefined {
    return this.#slots.get(slot);
  }

  /** Whether the route is still wanted. */
  has(entry: RouteEntry): boolean {
    return this.#wanted.has(entry);
  }

  find(key: RouteKeyParts): RouteEntry | undefined {
    const entry = this.inSlot(key);
    return entry !== undefined && sameRoute(entry.config, key) ? entry : undefined;
  }

  /** Enters a route whose slot is free, and acts as policy says for its session's state. */
  add(config: RouteConfig, origin: RouteOrigin, session: SessionEntry): RouteEntry {
    const excluded = this.isExcluded(config.dst);
    const entry = new RouteEntry(config, origin, session, excluded, this);
    this.#wanted.add(entry);
    this.#slots.set(entry.slot, entry);
    this.#report("route_registered", { route: entry.subject });
    this.#takeOver(entry);
    this.act(entry, "register");
    return entry;
  }

  /** Forgets the route, then removes it from the kernel as policy says. Resolves when that is done. */
  async remove(entry: RouteEntry): Promise<void> {
    this.#wanted.delete(entry);
    this.#slots.delete(entry.slot);
    this.#leaving.set(leavingKey(entry), entry);
    this.#report("route_forgotten", { route: entry.subject });
    this.act(entry, "withdraw");
    await entry.settled();
    entry.dispose();
    const key = leavingKey(entry);
    if (this.#leaving.get(key) === entry) this.#leaving.delete(key);
  }

  /** Removes every route from the kernel as policy says for a withdrawal. Resolves when that is done. */
  async withdrawAll(): Promise<void> {
    const entries = [...this.#wanted];
    for (const entry of entries) this.act(entry, "withdraw");
    await Promise.all(entries.map((entry) => entry.settled()));
  }

  /** Resolves when the kernel has let go of every route that is not to be there. */
  async left(): Promise<void> {
    const entries = [...this.#wanted, ...this.#leaving.values()];
    await Promise.all(entries.filter(({ desired }) => !desired).map((entry) => entry.settled()));
  }

  /** Does what policy says for what happened to the route or its session. */
  act(entry: RouteEntry, occasion: Occasion): void {
    const { mode, honorPeerPassive } = this.#options;
    const peerPassive = honorPeerPassive && entry.session.session.peerMode === "passive";
    const { noUninstall } = entry.config;
    switch (routeAction(occasion, { mode, peerPassive, noUninstall })) {
      case "install":
        return entry.install();
      case "uninstall":
        return entry.uninstall();
      case "forget":
        return entry.forget();
      case "keep":
        return;
    }
  }

  /** Mends a difference, if it still is one: the listing may be older than a withdrawal. */
  mend({ kind, entry }: Change): void {
    if (!this.has(entry)) return;
    if (kind === "reinstall") entry.reinstall("reconcile");
    else entry.removeStray();
  }

  believedChanged(entry: RouteEntry): void {
    const by = entry.believed ? 1 : -1;
    this.installedCount += by;
    entry.session.end.counters.routesInstalled += by;
  }

  installed(entry: RouteEntry, cause: InstallCause, afterUs: number): void {
    const { counters } = entry.session.end;
    counters.installs++;
    if (cause === "policy") {
      entry.remark = null;
      this.#report("route_installed", { route: entry.subject, after_us: afterUs });
      return;
    }
    counters.reinstalls++;
    if (cause === "reconcile") counters.reconcileReinstalls++;
    entry.remark = `${whyGone(entry, cause)}, back after ${milliseconds(afterUs)}`;
    this.#report("route_reinstalled", {
      route: entry.subject,
      reason: cause,
      after_us: afterUs,
      message: whyGone(entry, cause),
    });
  }

  removedExternally(
    entry: RouteEntry,
    { how: message, removals }: Contest,
    actor: EventActor,
    delayUs: number,
  ): void {
    entry.session.end.counters.externalRemovals++;
    entry.remark = message;
    const route = entry.subject;
    this.#report("route_removed_externally", { route, actor, message });
    if (delayUs === 0 || !worthReporting(removals)) return;
    this.#report("route_contested", {
      route,
      actor,
      after_us: delayUs,
      message: `${message}, ${removals} times in a row: it is put back more slowly`,
    });
  }

  uninstalled(entry: RouteEntry, afterUs: number): void {
    entry.session.end.counters.withdraws++;
    this.#report("route_withdrawn", { route: entry.subject, after_us: afterUs });
  }

  failed(entry: RouteEntry, action: "install" | "uninstall", error: KernelError): void {
    const { counters } = entry.session.end;
    if (action === "install") counters.installFailures++;
    else counters.uninstallFailures++;
    if (!worthReporting(entry.failures) || error.code === "closed") return;
    this.#report(action === "install" ? "route_install_failed" : "route_uninstall_failed", {
      route: entry.subject,
      reason: error.text,
    });
  }

  /** A route that comes back while its former self is still leaving takes over what that one left. */
  #takeOver(entry: RouteEntry): void {
    const former = this.#leaving.get(leavingKey(entry));
    if (former === undefined) return;
    former.forget();
    this.#leaving.delete(leavingKey(entry));
    if (!former.config.noUninstall) entry.removeStray();
  }
}

function whyGone(entry: RouteEntry, cause: InstallCause): string {
  if (cause === "external") return entry.contest!.how;
  return cause === "endpoint" ? "gone with its link" : "found missing by the sweep";
}

function milliseconds(us: number): string {
  return `${(us / 1_000).toFixed(us < 10_000 ? 1 : 0)} ms`;
}

/** What a removal that is under way takes from the kernel: the same route on another link is another. */
function leavingKey({ identity, config }: RouteEntry): string {
  return `${identity} ${config.dev}`;
}
