/**
 * A wanted route and what is known of it in the kernel.
 *
 * Three things with three names: `desired` is what policy asks for now; `believed` is the kernel's last
 * word on this very route; what the kernel really holds is only known to the kernel, and the reconciler
 * compares it. At most one request is under way; when it is answered the entry looks again at what is
 * desired, so that any sequence of wishes ends in the last one. What fails is tried again, later and later.
 */
import type { Kernel, KernelError, KernelResult } from "../kernel/kernel.ts";
import {
  type Route,
  type RouteFields,
  routeFields,
  routeIdentity,
  routeSlot,
  type Slot,
} from "../kernel/route.ts";
import type { RouteConfig } from "../config/config.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Loop } from "../scheduler/loop.ts";
import type { TimerId, TimerOwner, TimerWheel } from "../scheduler/timer_wheel.ts";
import type { EventActor, EventRoute } from "../observe/event.ts";
import { backoffDelay, type BackoffLimits } from "./backoff.ts";
import { Contest } from "./contest.ts";
import type { SessionEntry } from "./session_entry.ts";
import type { RouteOrigin } from "./snapshot.ts";

/** A route that cannot be installed costs connectivity, but the kernel's reasons rarely pass quickly. */
const INSTALL_BACKOFF: BackoffLimits = { firstUs: 100_000, maxUs: 10_000_000 };
/** A route that cannot be removed is a blackhole: insist. */
const UNINSTALL_BACKOFF: BackoffLimits = { firstUs: 50_000, maxUs: 1_000_000 };

/** Why an installation was asked for: it decides what is counted and reported. */
export type InstallCause = "policy" | "reconcile" | "endpoint" | "external";

/** What a route entry needs from its manager. */
export interface RouteContext {
  readonly kernel: Kernel;
  readonly wheel: TimerWheel;
  readonly clock: Clock;
  readonly loop: Loop;
  /** Route protocol number that is ours. */
  readonly protocol: number;
  /** `believed` changed: one more route is installed, or one less. */
  believedChanged(entry: RouteEntry): void;
  /** The kernel confirmed the installation; `afterUs` since it was first desired. */
  installed(entry: RouteEntry, cause: InstallCause, afterUs: number): void;
  /** The kernel confirmed that the route is gone; `afterUs` since that was first desired. */
  uninstalled(entry: RouteEntry, afterUs: number): void;
  /** Somebody else removed or replaced it; it is put back after `delayUs`. */
  removedExternally(
    entry: RouteEntry,
    contest: Contest,
    actor: EventActor,
    delayUs: number,
  ): void;
  failed(entry: RouteEntry, action: "install" | "uninstall", error: KernelError): void;
}

export class RouteEntry implements TimerOwner {
  /** The last sweep in whose listing it was. */
  seenInSweep = 0;
  /** Policy wants it in the kernel. */
  desired = false;
  #believed = false;
  /** When `believed` last changed by the kernel's word, µs. */
  changedAt: number;
  lastError: KernelError | null = null;
  /** Failures in a row. */
  failures = 0;
  installs = 0;
  withdraws = 0;
  reinstalls = 0;
  totalFailures = 0;
  /** What last happened to it, for people; `null` when there is nothing to say. */
  remark: string | null = null;

  /** The fight over it, once there has been one. */
  contest: Contest | null = null;

  /** It may be in the kernel without our having heard so, and is not desired there. */
  #isStray = false;
  #busy = false;
  /** The kernel has spoken about this route, and nothing has happened since that may have changed it. */
  #confirmed = false;
  /** A removal by others, told while a request of ours is under way: which came first is not known. */
  #lostMeanwhile: (() => void) | null = null;
  /** The claim was given up while a request was under way. */
  #forgotten = false;
  #desiredSince: number;
  #cause: InstallCause = "policy";
  #retryTimer: TimerId | null = null;
  #whenSettled: (() => void)[] | null = null;
  // Next hop and source as in RouteFields: every sweep compares them.
  readonly #via: number;
  readonly #src: number;

  /** @throws {RangeError} when the configuration's text is no route */
  constructor(
    readonly config: RouteConfig,
    readonly origin: RouteOrigin,
    readonly session: SessionEntry,
    readonly excluded: boolean,
    private readonly context: RouteContext,
  ) {
    const fields = routeFields(this.route);
    if (fields === null) throw new RangeError(`no route: ${this.identity}`);
    this.#via = fields.via;
    this.#src = fields.src;
    this.changedAt = this.#desiredSince = context.clock.now();
  }

  // There are tens of thousands of entries: what the configuration says is not kept in other words.

  /** The route as the kernel is asked for it. */
  get route(): Route {
    const { table, dst, via, src, dev } = this.config;
    return { table, dst, via, src, dev, protocol: this.context.protocol };
  }

  /** See {@linkcode routeIdentity}. */
  get identity(): string {
    return routeIdentity(this.route);
  }

  /** See {@linkcode routeSlot}. */
  get slot(): Slot {
    return routeSlot(this.config)!; // the constructor refuses what is no prefix
  }

  /** What events about this route name. */
  get subject(): EventRoute {
    const { table, dst, via, dev, src } = this.config;
    return { table, dst, via, dev, src };
  }

  /** Whether a route in our slot is this one, by next hop and source; ours are never 0, which says none. */
  isSame({ via, src }: Readonly<RouteFields>): boolean {
    return via === this.#via && src === this.#src;
  }

  /** The kernel confirmed it, and nothing has been heard since to the contrary. */
  get believed(): boolean {
    return this.#believed;
  }

  /** Asks for the route to be in the kernel. */
  install(cause: InstallCause = "policy"): void {
    if (this.excluded) return;
    if (!this.desired) this.#desire(true);
    this.#cause = cause;
    this.#pursue();
  }

  /**
   * A former run left it in the kernel, or something that it can take the place of: it is desired, without
   * a session that says so. Returns false when that is known already, or is to be left alone.
   */
  adopt(present: boolean): boolean {
    if (this.excluded || this.desired || this.unsettled) return false;
    this.#desire(true);
    if (present) this.#believe(true);
    else this.#pursue();
    return true;
  }

  /** Asks for the route to be gone from the kernel. */
  uninstall(): void {
    if (this.excluded) return;
    if (this.desired) this.#desire(false);
    // As long as the kernel has not spoken, a route that a former run left may be there.
    if (!this.#confirmed) this.#isStray = true;
    this.#pursue();
  }

  /** Gives up the claim and leaves the kernel as it is, or as a request under way makes it. */
  forget(): void {
    this.#forgotten = this.#busy;
    this.#isStray = false;
    this.desired = false;
    this.#believe(false);
    this.#cancelRetry();
    this.#settle();
  }

  /** The kernel's table was seen without this route: believe that, and put it back. */
  reinstall(cause: "reconcile" | "endpoint"): void {
    if (!this.desired || this.#busy) return;
    // With its link the reason for earlier refusals may be gone, and the route may be.
    if (cause === "endpoint") {
      this.#cancelRetry();
      this.#confirmed = false;
    }
    this.#believe(false);
    this.install(cause);
  }

  /**
   * Somebody else took the route out of the kernel, or put another in its place. It is put back at once,
   * or after a while when that keeps happening. Returns whether it was ours to lose.
   */
  lost(how: string, actor: EventActor): boolean {
    if (this.excluded) return false;
    if (this.#busy) {
      this.#lostMeanwhile = () => this.lost(how, actor);
      return true;
    }
    if (!this.#believed) return false;
    this.#believe(false);
    if (this.desired) this.#answer(how, actor);
    return true;
  }

  /** The kernel's table was seen without this route, and its link is gone: it went along. */
  vanished(): void {
    if (this.#busy || !this.#believed) return;
    this.#believe(false);
    this.remark = "gone with its link";
  }

  /** The kernel's table was seen with this route although it should not be there: remove it. */
  removeStray(): void {
    if (this.desired || this.#busy || this.excluded) return;
    this.#isStray = true;
    this.#pursue();
  }

  /** True while a request is under way or waits for another try. */
  get unsettled(): boolean {
    return this.#busy || (!this.excluded && (this.desired !== this.#believed || this.#isStray));
  }

  /** Settles once the kernel holds what is desired. Never rejects. */
  settled(): Promise<void> {
    if (!this.unsettled) return Promise.resolve();
    return new Promise((resolve) => (this.#whenSettled ??= []).push(resolve));
  }

  /** Gives the retry timer back. */
  dispose(): void {
    this.#cancelRetry();
    this.#settle();
  }

  due(): void {
    this.#pursue();
  }

  #answer(how: string, actor: EventActor): void {
    const { clock, wheel, loop } = this.context;
    const now = clock.now();
    this.contest ??= new Contest();
    const delayUs = this.contest.removed(how, now);
    this.#desiredSince = now;
    this.context.removedExternally(this, this.contest, actor, delayUs);
    this.#cause = "external";
    if (delayUs === 0) return this.#pursue();
    this.#retryTimer ??= wheel.add(this);
    wheel.arm(this.#retryTimer, now + delayUs);
    loop.wake();
  }

  #desire(desired: boolean): void {
    this.desired = desired;
    this.#desiredSince = this.context.clock.now();
    this.failures = 0;
    this.lastError = null;
    this.#cancelRetry();
  }

  /** Makes one step towards what is desired, unless one is under way. */
  #pursue(): void {
    if (this.#busy || this.#retryPending()) return;
    if (this.desired === this.#believed && !this.#isStray) return this.#settle();
    this.#busy = true;
    const { kernel } = this.context;
    if (this.desired) {
      kernel.replace(this.route).then((result) => this.#afterReplace(result));
    } else {
      kernel.delete(this.route).then((result) => this.#afterDelete(result));
    }
  }

  #afterReplace(result: KernelResult): void {
    this.#busy = false;
    if (this.#takeForgotten()) return this.#pursue();
    if (!result.ok) {
      this.#takeLoss();
      return this.#afterFailure("install", result.error, INSTALL_BACKOFF);
    }
    this.#confirm(true);
    this.installs++;
    if (this.#cause !== "policy") this.reinstalls++;
    this.context.installed(this, this.#cause, this.changedAt - this.#desiredSince);
    this.#cause = "policy";
    const loss = this.#takeLoss();
    // When it is no longer desired it is removed now: which came first does not matter then.
    if (this.desired) loss?.();
    this.#pursue();
  }

  #afterDelete(result: KernelResult): void {
    this.#busy = false;
    this.#takeLoss();
    if (this.#takeForgotten()) return this.#pursue();
    if (!result.ok && result.error.code !== "not_found") {
      return this.#afterFailure("uninstall", result.error, UNINSTALL_BACKOFF);
    }
    const wasThere = result.ok || this.#believed;
    this.#confirm(false);
    if (wasThere) {
      this.withdraws++;
      this.context.uninstalled(this, this.changedAt - this.#desiredSince);
    }
    this.#pursue();
  }

  /** An answer to a request from before {@linkcode forget} says nothing about what is wanted since. */
  #takeForgotten(): boolean {
    const forgotten = this.#forgotten;
    this.#forgotten = false;
    return forgotten;
  }

  #takeLoss(): (() => void) | null {
    const loss = this.#lostMeanwhile;
    this.#lostMeanwhile = null;
    return loss;
  }

  #confirm(present: boolean): void {
    this.#believe(present);
    this.#confirmed = true;
    this.#isStray = false;
    this.failures = 0;
    this.lastError = null;
  }

  /** The only place where `believed` is set. */
  #believe(present: boolean): void {
    this.changedAt = this.context.clock.now();
    if (this.#believed === present) return;
    this.#believed = present;
    this.context.believedChanged(this);
  }

  #afterFailure(action: "install" | "uninstall", error: KernelError, limits: BackoffLimits): void {
    this.totalFailures++;
    // What could not be removed is still there; what the kernel was too busy to answer for may be.
    if (!this.#believed && (action === "uninstall" || error.code === "busy")) this.#isStray = true;
    // The wish may have changed while the kernel was busy refusing the former one.
    const isWanted = (action === "install") === this.desired;
    if (isWanted) {
      this.failures++;
      this.lastError = error;
    }
    this.context.failed(this, action, error);
    if (!isWanted) return this.#pursue();
    if (error.code === "closed") return this.#settle();
    this.#retryTimer ??= this.context.wheel.add(this);
    const { clock, wheel, loop } = this.context;
    wheel.arm(this.#retryTimer, clock.now() + backoffDelay(this.failures, limits));
    loop.wake();
  }

  #retryPending(): boolean {
    return this.#retryTimer !== null && this.context.wheel.isArmed(this.#retryTimer);
  }

  #cancelRetry(): void {
    if (this.#retryTimer === null) return;
    this.context.wheel.remove(this.#retryTimer);
    this.#retryTimer = null;
  }

  #settle(): void {
    const waiting = this.#whenSettled;
    if (waiting === null) return;
    this.#whenSettled = null;
    for (const resolve of waiting) resolve();
  }
}
