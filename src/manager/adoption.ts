/**
 * What a former run left in the kernel, and what becomes of it.
 *
 * A route that is still wanted is adopted: it stays for one grace period, so that a restart makes no gap,
 * and then follows its session. A route that the former run has recorded and that nobody wants any more
 * goes. Every other route is somebody else's, whatever it looks like (docs/ownership.md).
 *
 * The grace period is as long as a live peer needs to bring its session Up, counted from the session's
 * start. With I the longer of the intervals at which the two ends send while Up, in the worst case
 *
 * ```text
 *   2.35 I     we listen first (see SessionEntry.listen)
 *   detect     the peer still takes our former self for alive, and our Down for a stale one
 *   4 × 1.1 I  both are Down; the first packet, its answer, and one loss on each way
 *   1 s        delays of five datagrams, and of hosts that are busy with starting
 * ```
 */
import type { Kernel, KernelError, RouteList } from "../kernel/kernel.ts";
import { type Route, routeIdentity } from "../kernel/route.ts";
import type { Report } from "../observe/event.ts";
import { State } from "../protocol/packet.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Loop } from "../scheduler/loop.ts";
import type { TimerId, TimerOwner, TimerWheel } from "../scheduler/timer_wheel.ts";
import { worthReporting } from "./backoff.ts";
import { type FormerRoute, type FormerRun, NOTHING } from "./former_run.ts";
import { InterfaceIndexes } from "./interface_indexes.ts";
import type { RouteBook } from "./route_book.ts";
import type { RouteEntry } from "./route_entry.ts";
import type { SessionEntry } from "./session_entry.ts";
import { sessionReason } from "./snapshots.ts";

export interface AdoptionOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  readonly book: RouteBook;
  /** Route protocol number that is ours. */
  readonly protocol: number;
  /** Something left the list of routes that are ours. */
  readonly changed: () => void;
  /** The kernel's routes could not be listed. */
  readonly failed: (error: KernelError) => void;
  readonly report: Report;
}

const DELAYS_US = 1_000_000;
/** No peer is waited for longer than this, whatever its intervals. */
export const MAX_GRACE_US = 60_000_000;
/** Between two attempts to list the kernel's routes, or to remove one. */
const RETRY_US = 1_000_000;

/** For how long a session's routes are kept before it has come Up for the first time, µs. */
export function gracePeriod({ session, listenUs, intervalUs }: SessionEntry): number {
  const interval = Math.max(session.txIntervalUs, intervalUs);
  const detect = session.parameters.detectMult * intervalUs;
  return Math.min(MAX_GRACE_US, listenUs + detect + 4.4 * interval + DELAYS_US);
}

export class Adoption implements TimerOwner {
  /** Routes adopted. */
  adopted = 0;
  /** Routes removed because the former run wanted them and nobody does any more. */
  removed = 0;
  /** Resolves once it is known what the former run left. */
  readonly finished: Promise<void>;
  readonly #options: AdoptionOptions;
  readonly #finish: () => void;
  readonly #retryTimer: TimerId;
  /** Adopted routes whose session has not come Up yet. */
  readonly #waiting = new Map<SessionEntry, { readonly timer: TimerId; routes: RouteEntry[] }>();
  readonly #byTimer = new Map<TimerId, SessionEntry>();
  /** To be removed, and not known to be gone. */
  readonly #stale = new Set<Route & FormerRoute>();
  /** What the former run left, until that is taken: it is megabytes with thousands of routes. */
  #former: FormerRun = NOTHING;
  #listed = false;
  #failures = 0;

  constructor(options: AdoptionOptions) {
    this.#options = options;
    this.#retryTimer = options.wheel.add(this);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
  }

  /** To be called before {@linkcode start}, if at all. */
  resume(former: FormerRun): void {
    this.#former = former;
  }

  /** Looks at the kernel's table; again and again until that succeeds. Never rejects. */
  async start(): Promise<void> {
    const { kernel, protocol } = this.#options;
    const former = this.#former;
    const listed = await kernel.list({ protocol });
    const another = former.protocol !== protocol && former.routes.length > 0;
    const formerly = another ? await kernel.list({ protocol: former.protocol }) : listed;
    if (this.#listed) return;
    const failed = !listed.ok ? listed : !formerly.ok ? formerly : null;
    if (failed !== null) {
      if (failed.error.code === "closed") return;
      this.#options.failed(failed.error);
      return this.#retryLater();
    }
    this.#listed = true;
    if (listed.ok && formerly.ok) this.#take(listed.routes, formerly.routes);
    this.#finish();
  }

  /** Ends what would go on by itself. Routes that are kept stay as they are. */
  stop(): void {
    this.#options.wheel.cancel(this.#retryTimer);
    for (const session of [...this.#waiting.keys()]) this.decided(session);
  }

  /** Whether the session's routes are kept although it is not Up. */
  keeps(session: SessionEntry): boolean {
    return this.#waiting.has(session);
  }

  /** The session came Up, was taken down on purpose, or is gone: its routes follow it from now on. */
  decided(session: SessionEntry): readonly RouteEntry[] {
    const waiting = this.#waiting.get(session);
    if (waiting === undefined) return [];
    this.#waiting.delete(session);
    this.#byTimer.delete(waiting.timer);
    this.#options.wheel.remove(waiting.timer);
    for (const route of waiting.routes) route.remark = null;
    return waiting.routes;
  }

  /** Routes that are ours, although not wanted, until the kernel has let them go. */
  stale(): Iterable<FormerRoute> {
    return this.#stale;
  }

  due(timer: TimerId): void {
    if (timer !== this.#retryTimer) this.#expire(this.#byTimer.get(timer)!);
    else if (this.#listed) this.#removeStale();
    else this.start();
  }

  #take(listed: RouteList, formerly: RouteList): void {
    const { kernel, book, protocol } = this.#options;
    const former = this.#former;
    this.#former = NOTHING;
    const indexes = new InterfaceIndexes(kernel);
    const ours = inLists(listed);
    const left = formerly === listed ? ours : inLists(formerly);
    for (const entry of book.wanted()) {
      if (ours.has(`${entry.identity} ${indexes.of(entry.config.dev)}`)) this.#adopt(entry, true);
    }
    for (const record of former.routes) {
      const route = { ...record, protocol: former.protocol };
      const identity = routeIdentity(route);
      if (book.isExcluded(record.dst) || !left.has(`${identity} ${indexes.of(record.dev)}`)) {
        continue;
      }
      const entry = book.inSlot(record);
      if (entry?.identity !== identity || entry.config.dev !== record.dev) this.#stale.add(route);
      // Ours under another protocol: it is replaced in its place.
      else if (former.protocol !== protocol) this.#adopt(entry, false);
    }
    this.#removeStale();
  }

  #adopt(entry: RouteEntry, present: boolean): void {
    if (!entry.adopt(present)) return;
    this.adopted++;
    const { session } = entry;
    if (session.session.state === State.Up) return;
    const { clock, wheel, report } = this.#options;
    const us = Math.max(0, session.startedUs + gracePeriod(session) - clock.now());
    let waiting = this.#waiting.get(session);
    if (waiting === undefined) {
      waiting = { timer: wheel.add(this), routes: [] };
      wheel.arm(waiting.timer, clock.now() + us);
      this.#waiting.set(session, waiting);
      this.#byTimer.set(waiting.timer, session);
    }
    waiting.routes.push(entry);
    entry.remark = "left by a former run, kept until its session decides";
    const message = `a former run left it; kept for ${
      (us / 1e6).toFixed(1)
    } s, until its session is up`;
    report("route_adopted", { route: entry.subject, message });
  }

  /** The grace period is over and the session has not come Up. */
  #expire(session: SessionEntry): void {
    const { book, report } = this.#options;
    const reason = sessionReason(session) ?? "init";
    for (const entry of this.decided(session)) {
      if (book.inSlot(entry.config) !== entry) continue;
      const message = "the grace period is over: it follows its session, which is not up";
      report("route_adoption_expired", { route: entry.subject, reason, message });
      book.act(entry, "session_down");
    }
  }

  #removeStale(): void {
    for (const route of this.#stale) {
      this.#options.kernel.delete(route).then((result) => {
        if (result.ok || result.error.code === "not_found") this.#gone(route);
        else if (result.error.code !== "closed") this.#refused(route, result.error);
      });
    }
  }

  #gone(route: Route & FormerRoute): void {
    this.#stale.delete(route);
    this.removed++;
    const { changed, report } = this.#options;
    changed();
    const { table, dst, via, dev, src } = route;
    const message = "a former run left it, and it is not wanted any more";
    report("route_stale_removed", { route: { table, dst, via, dev, src }, message });
  }

  #refused({ table, dst, via, dev, src }: FormerRoute, error: KernelError): void {
    if (worthReporting(++this.#failures)) {
      const route = { table, dst, via, dev, src };
      this.#options.report("route_uninstall_failed", { route, reason: error.text });
    }
    this.#retryLater();
  }

  #retryLater(): void {
    const { clock, wheel, loop } = this.#options;
    wheel.arm(this.#retryTimer, clock.now() + RETRY_US);
    loop.wake();
  }
}

/**
 * The routes of a list that can be ours, by identity and interface index: all of ours have the metric 0,
 * and a route that differs in anything is another one.
 */
function inLists(routes: RouteList): Set<string> {
  const names = new Set<string>();
  for (const route of routes) {
    if (route.metric === 0) names.add(`${routeIdentity(route)} ${route.ifindex}`);
  }
  return names;
}
