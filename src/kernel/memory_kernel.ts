/**
 * The in-memory twin of the kernel's routing table.
 *
 * It answers as Linux does for what the {@linkcode Kernel} seam can ask (tests/unit/kernel/contract.ts
 * holds for both), and lets a test or a simulated world do what the real one cannot: fail on demand,
 * answer late by a clock of the test's own, change routes, links and addresses behind the daemon's back with or
 * without telling it, and be looked at without asking. Requests take effect and are answered in the order in which they were made, however
 * the scheduler shuffles its calls.
 */

import { type Actor, kernelActor, type KernelChange, type KernelChangeListener } from "./change.ts";
import { closedError, errno, isFailure, kernelError } from "./errors.ts";
import {
  type Kernel,
  type KernelCounters,
  kernelCounters,
  type KernelError,
  type KernelErrorCode,
  type KernelResult,
  type ListResult,
  type MarkRule,
  type RouteFilter,
} from "./kernel.ts";
import { type LinkState, MemoryLinks } from "./memory_links.ts";
import { MemoryRoutes } from "./memory_routes.ts";
import { routeNumbers } from "./request.ts";
import type { KernelRoute, Route } from "./route.ts";
import { RouteList } from "./route_list.ts";
import { Subscribers } from "./subscribers.ts";

/** One request as the twin sees it; handed to {@linkcode MemoryKernel.failWhen}'s judge. */
export type MemoryRequest =
  | { readonly kind: "replace" | "delete"; readonly route: Route }
  | { readonly kind: "list"; readonly filter: RouteFilter }
  | { readonly kind: "addRule" | "deleteRule"; readonly rule: MarkRule };

/** Why a request is to fail, or `null` when it is not. */
export type Judge = (request: MemoryRequest) => KernelErrorCode | null;

/** How a {@linkcode MemoryKernel} differs from one that answers at once and refuses nothing. */
export interface MemoryKernelOptions {
  /**
   * Runs a function later: the time that the kernel takes to answer. Called once for each request;
   * `queueMicrotask` by default.
   */
  readonly schedule?: (answer: () => void) => void;
  /**
   * The output interface of a route: its index, or why the route cannot be (`no_device`,
   * `unreachable`, `invalid` for a source that is no local address, …). By default every next hop is
   * reachable and names are numbered from 2 as they appear.
   */
  readonly resolve?: (route: Route) => number | KernelErrorCode;
  /**
   * Brings a notification: calls `tell` once, late, never (then {@linkcode MemoryKernel.overrun} should
   * follow, as in Linux) or more than once. `queueMicrotask(tell)` by default.
   */
  readonly notify?: (change: KernelChange, tell: () => void) => void;
}

/** Somebody else, when a test does not say who. */
export const somebody: Actor = {
  port: 4711,
  pid: 4711,
  command: "somebody",
  unit: "somebody.service",
  certain: true,
};

const ok: KernelResult = { ok: true };

/** What Linux and libnl say for each code, so that a simulated failure reads like a real one. */
const injected: Record<KernelErrorCode, KernelError> = {
  exists: kernelError(errno.EEXIST, "Object exists"),
  not_found: kernelError(errno.ESRCH, "Object not found"),
  unreachable: kernelError(
    errno.ENETUNREACH,
    "Unspecific failure (errno 101)",
    "Nexthop has invalid gateway",
  ),
  no_device: kernelError(errno.ENODEV, "No such device"),
  permission: kernelError(errno.EPERM, "Operation not permitted"),
  invalid: kernelError(errno.EINVAL, "Invalid input data or parameter"),
  busy: kernelError(errno.ENOBUFS, "Out of memory"),
  closed: closedError,
  other: kernelError(errno.EIO, "Unspecific failure (errno 5)"),
};

/** A routing table and its rules in memory, behind the same interface as the kernel's. */
export class MemoryKernel implements Kernel {
  readonly counters: KernelCounters = kernelCounters();
  /** How many requests of each kind were carried out or refused so far. */
  readonly served: Record<MemoryRequest["kind"], number> = {
    replace: 0,
    delete: 0,
    list: 0,
    addRule: 0,
    deleteRule: 0,
  };

  readonly #routes = new MemoryRoutes();
  readonly #rules = new Map<string, MarkRule>();
  readonly #links = new MemoryLinks();
  readonly #subscribers = new Subscribers();
  readonly #notify: (change: KernelChange, tell: () => void) => void;
  readonly #waiting: Pending[] = [];
  readonly #schedule: (answer: () => void) => void;
  readonly #resolve: (route: Route) => number | KernelErrorCode;
  readonly #serveNext = () => this.#serve();
  #judge: Judge | null = null;
  #failuresLeft = 0;
  #failureCode: KernelErrorCode = "busy";
  #closed = false;

  constructor(options: MemoryKernelOptions = {}) {
    this.#schedule = options.schedule ?? queueMicrotask;
    this.#resolve = options.resolve ?? ((route) => this.ifindex(route.dev ?? "") || "no_device");
    this.#notify = options.notify ?? ((_change, tell) => queueMicrotask(tell));
  }

  replace(route: Route): Promise<KernelResult> {
    return this.#request({ kind: "replace", route }, () => this.#replace(route));
  }

  delete(route: Route): Promise<KernelResult> {
    return this.#request({ kind: "delete", route }, () => this.#delete(route));
  }

  list(filter: RouteFilter): Promise<ListResult> {
    return this.#request(
      { kind: "list", filter },
      () => ({ ok: true, routes: RouteList.of(this.routes(filter)) }),
    );
  }

  addRule(rule: MarkRule): Promise<KernelResult> {
    return this.#request({ kind: "addRule", rule }, () => {
      this.#rules.set(ruleKey(rule), rule);
      return ok;
    });
  }

  deleteRule(rule: MarkRule): Promise<KernelResult> {
    return this.#request(
      { kind: "deleteRule", rule },
      () => this.#rules.delete(ruleKey(rule)) ? ok : refusal("not_found"),
    );
  }

  subscribe(listener: KernelChangeListener): Disposable {
    if (this.#closed) throw new Error(closedError.text);
    return this.#subscribers.add(listener);
  }

  close(): void {
    this.#closed = true;
    this.#subscribers.clear();
    for (const { refuse } of this.#waiting.splice(0)) refuse("closed");
  }

  /** Makes the next `count` requests of any kind fail with `code`. Replaces an earlier call's rest. */
  failNext(count: number, code: KernelErrorCode): void {
    this.#failuresLeft = count;
    this.#failureCode = code;
  }

  /** Asks `judge` about every request from now on; `null` ends it. For probabilities, partitions, … */
  failWhen(judge: Judge | null): void {
    this.#judge = judge;
  }

  /**
   * Another process's connection to the same tables: what it asks for is carried out at once and told to
   * the subscribers of this one.
   */
  asOther(actor: Actor = somebody): Pick<Kernel, "replace" | "delete" | "addRule" | "deleteRule"> {
    const tell = (change: KernelChange) => this.#tell(change);
    return {
      replace: (route) =>
        Promise.resolve(this.#replace(route, (added, replaced) => {
          tell({ kind: "route_added", route: added, unicast: true, replaced, actor });
        })),
      delete: (route) =>
        Promise.resolve(this.#delete(route, (removed) => {
          tell({ kind: "route_removed", route: removed, unicast: true, replaced: false, actor });
        })),
      addRule: (rule) => {
        if (!this.#rules.has(ruleKey(rule))) this.setRule(rule, true, actor);
        return Promise.resolve(ok);
      },
      deleteRule: (rule) => {
        if (!this.#rules.has(ruleKey(rule))) return Promise.resolve(refusal("not_found"));
        this.setRule(rule, false, actor);
        return Promise.resolve(ok);
      },
    };
  }

  /** Another process adds or replaces a route, at once and unconditionally. */
  put(route: KernelRoute, actor: Actor = somebody): void {
    const replaced = this.#routes.put(route) !== null;
    this.#tell({ kind: "route_added", route, unicast: true, replaced, actor });
  }

  /** Another process deletes a route, at once. Says whether it was there. */
  remove(route: Route | KernelRoute, actor: Actor = somebody): boolean {
    const removed = this.#routes.remove(route);
    if (removed === null) return false;
    const change = { route: removed, unicast: true, replaced: false, actor };
    this.#tell({ kind: "route_removed", ...change });
    return true;
  }

  /** Another process adds or deletes a rule, at once. */
  setRule(rule: MarkRule, present: boolean, actor: Actor = somebody): void {
    if (present) this.#rules.set(ruleKey(rule), rule);
    else this.#rules.delete(ruleKey(rule));
    this.#tell({ kind: "rule", ...rule, present, actor });
  }

  /**
   * The link changes. One that is down or gone loses its routes, which nobody is told of, and one without
   * carrier does not; a name that comes back after its link was gone gets another index.
   */
  setLink(name: string, state: LinkState, actor: Actor = kernelActor): void {
    const ifindex = this.#links.set(name, state);
    const adminUp = this.#links.carriesRoutes(ifindex);
    if (!adminUp) this.#routes.removeWhere((route) => route.ifindex === ifindex);
    const [present, up] = [state !== "gone", state === "up"];
    this.#tell({ kind: "link", ifindex, name, present, up, adminUp, actor });
  }

  /**
   * A local address comes or goes. Routes that prefer it as their source go with it, which nobody is
   * told of, and none can be added until it returns.
   */
  setAddress(name: string, address: string, present: boolean, actor: Actor = somebody): void {
    this.#links.setAddress(address, present);
    if (!present) this.#routes.removeWhere((route) => route.src === address);
    const ifindex = this.ifindex(name);
    this.#tell({ kind: "address", ifindex, address, prefixLength: 24, present, actor });
  }

  /** Tells subscribers that notifications were lost. */
  overrun(): void {
    this.#tell({ kind: "overrun" });
  }

  /** An interface is there and up unless told otherwise. */
  ifindex(name: string): number {
    return this.#links.ifindex(name);
  }

  /** What is in the table now, without a request. */
  routes(filter: RouteFilter = {}): KernelRoute[] {
    return this.#routes.list(filter);
  }

  /** Whether a route that {@linkcode delete} would delete is there now. */
  has(route: Route | KernelRoute): boolean {
    return this.#routes.has(route);
  }

  /** The rules that are there now. */
  rules(): MarkRule[] {
    return [...this.#rules.values()];
  }

  /** Requests that were made and not yet answered. */
  get pending(): number {
    return this.#waiting.length;
  }

  #request<R extends KernelResult | ListResult>(
    request: MemoryRequest,
    carryOut: () => R | Refused,
  ): Promise<R | Refused> {
    this.counters.requests++;
    return new Promise((resolve) => {
      const answer = (result: R | Refused) => {
        if (!result.ok && isFailure(request.kind, result.error)) this.counters.failures++;
        resolve(result);
      };
      const refuse = (code: KernelErrorCode) => answer(refusal(code));
      if (this.#closed) return refuse("closed");
      this.#waiting.push({
        refuse,
        serve: () => {
          this.served[request.kind]++;
          if (request.kind === "list") this.counters.dumps++;
          const code = this.#failureOf(request);
          answer(code === null ? carryOut() : refusal(code));
        },
      });
      this.#schedule(this.#serveNext);
    });
  }

  #serve(): void {
    this.#waiting.shift()?.serve();
  }

  #failureOf(request: MemoryRequest): KernelErrorCode | null {
    if (this.#failuresLeft > 0) {
      this.#failuresLeft--;
      return this.#failureCode;
    }
    return this.#judge?.(request) ?? null;
  }

  #replace(
    route: Route,
    done: (added: KernelRoute, replaced: boolean) => void = () => {},
  ): KernelResult {
    const numbers = routeNumbers(route, 0);
    if ("code" in numbers) return { ok: false, error: numbers };
    const ifindex = this.#resolve(route);
    if (typeof ifindex !== "number") return refusal(ifindex);
    if (!this.#links.carriesRoutes(ifindex)) {
      return refusal(route.dev === null ? "unreachable" : "no_device");
    }
    const { table, dst, via, src, protocol, metric = 0 } = route;
    if (src !== null && !this.#links.hasAddress(src)) return refusal("invalid");
    const added = { table, dst, via, src, ifindex, protocol, metric };
    const replaced = this.#routes.put(added);
    // The same route again is success and no change.
    if (replaced === null || !isSame(replaced, added)) done(added, replaced !== null);
    return ok;
  }

  #delete(route: Route, done: (removed: KernelRoute) => void = () => {}): KernelResult {
    const numbers = routeNumbers(route, 0);
    if ("code" in numbers) return { ok: false, error: numbers };
    const removed = this.#routes.remove(this.#located(route));
    if (removed === null) return refusal("not_found");
    done(removed);
    return ok;
  }

  /** The route with its interface's index, when it names one that exists. */
  #located(route: Route): Route | KernelRoute {
    if (route.dev === null) return route;
    const ifindex = this.#resolve(route);
    return typeof ifindex === "number" ? { ...route, metric: route.metric ?? 0, ifindex } : route;
  }

  #tell(change: KernelChange): void {
    if (this.#subscribers.size === 0) return;
    this.#notify(change, () => {
      if (change.kind === "overrun") this.counters.changeOverruns++;
      else this.counters.changes++;
      this.#subscribers.tell(change);
    });
  }
}

interface Pending {
  readonly serve: () => void;
  readonly refuse: (code: KernelErrorCode) => void;
}

type Refused = { readonly ok: false; readonly error: KernelError };

function refusal(code: KernelErrorCode): Refused {
  return { ok: false, error: injected[code] };
}

/** Of two routes with the same table, prefix and metric: whether one is the other. */
function isSame(a: KernelRoute, b: KernelRoute): boolean {
  return a.via === b.via && a.src === b.src && a.ifindex === b.ifindex && a.protocol === b.protocol;
}

function ruleKey(rule: MarkRule): string {
  return `${rule.priority} ${rule.mark} ${rule.table} ${rule.protocol}`;
}
