/**
 * The in-memory twin of the kernel's routing table.
 *
 * It answers as Linux does for what the {@linkcode Kernel} seam can ask (tests/unit/kernel/contract.ts
 * holds for both), and lets a test or a simulated world do what the real one cannot: fail on demand,
 * answer late by a clock of the test's own, lose routes behind the daemon's back, and be looked at
 * without asking. Requests take effect and are answered in the order in which they were made, however
 * the scheduler shuffles its calls.
 */

import { closedError, errno, kernelError } from "./errors.ts";
import type {
  Kernel,
  KernelCounters,
  KernelError,
  KernelErrorCode,
  KernelResult,
  ListResult,
  MarkRule,
  RouteFilter,
} from "./kernel.ts";
import { routeNumbers } from "./request.ts";
import type { KernelRoute, Route } from "./route.ts";

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
}

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
  readonly counters: KernelCounters = {
    requests: 0,
    failures: 0,
    dumps: 0,
    unreadable: 0,
    overruns: 0,
  };
  /** How many requests of each kind were carried out or refused so far. */
  readonly served: Record<MemoryRequest["kind"], number> = {
    replace: 0,
    delete: 0,
    list: 0,
    addRule: 0,
    deleteRule: 0,
  };

  /** Routes by table and prefix, each list in order of metric as Linux keeps them. */
  readonly #routes = new Map<string, KernelRoute[]>();
  readonly #rules = new Map<string, MarkRule>();
  readonly #ifindexes = new Map<string, number>();
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
    this.#resolve = options.resolve ?? ((route) => this.#indexOf(route.dev ?? ""));
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
      () => ({ ok: true, routes: this.routes(filter) }),
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

  close(): void {
    this.#closed = true;
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

  /** Another process adds or replaces a route, at once and unconditionally. */
  put(route: KernelRoute): void {
    const key = prefixKey(route);
    const same = this.#routes.get(key);
    if (same === undefined) {
      this.#routes.set(key, [route]);
      return;
    }
    const index = same.findIndex((other) => other.metric >= route.metric);
    if (index < 0) same.push(route);
    else same.splice(index, same[index].metric === route.metric ? 1 : 0, route);
  }

  /** Another process deletes a route, at once. Says whether it was there. */
  remove(route: Route | KernelRoute): boolean {
    const key = prefixKey(route);
    const same = this.#routes.get(key);
    const index = same?.findIndex((other) => matches(other, route)) ?? -1;
    if (same === undefined || index < 0) return false;
    if (same.length === 1) this.#routes.delete(key);
    else same.splice(index, 1);
    return true;
  }

  /** What is in the table now, without a request. */
  routes(filter: RouteFilter = {}): KernelRoute[] {
    const found: KernelRoute[] = [];
    for (const same of this.#routes.values()) {
      for (const route of same) {
        if (filter.table !== undefined && filter.table !== route.table) continue;
        if (filter.protocol !== undefined && filter.protocol !== route.protocol) continue;
        found.push(route);
      }
    }
    return found;
  }

  /** Whether a route that {@linkcode delete} would delete is there now. */
  has(route: Route | KernelRoute): boolean {
    return this.#routes.get(prefixKey(route))?.some((other) => matches(other, route)) ?? false;
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
      const refuse = (code: KernelErrorCode) => {
        this.counters.failures++;
        resolve(refusal(code));
      };
      if (this.#closed) return refuse("closed");
      this.#waiting.push({
        refuse,
        serve: () => {
          this.served[request.kind]++;
          if (request.kind === "list") this.counters.dumps++;
          const code = this.#failureOf(request);
          if (code !== null) return refuse(code);
          const result = carryOut();
          if (!result.ok) this.counters.failures++;
          resolve(result);
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

  #replace(route: Route): KernelResult {
    const numbers = routeNumbers(route, 0);
    if ("code" in numbers) return { ok: false, error: numbers };
    const ifindex = this.#resolve(route);
    if (typeof ifindex !== "number") return refusal(ifindex);
    const { table, dst, via, src, protocol, metric = 0 } = route;
    this.put({ table, dst, via, src, ifindex, protocol, metric });
    return ok;
  }

  #delete(route: Route): KernelResult {
    const numbers = routeNumbers(route, 0);
    if ("code" in numbers) return { ok: false, error: numbers };
    return this.remove(this.#located(route)) ? ok : refusal("not_found");
  }

  /** The route with its interface's index, when it names one that exists. */
  #located(route: Route): Route | KernelRoute {
    if (route.dev === null) return route;
    const ifindex = this.#resolve(route);
    return typeof ifindex === "number" ? { ...route, metric: route.metric ?? 0, ifindex } : route;
  }

  #indexOf(name: string): number {
    let index = this.#ifindexes.get(name);
    if (index === undefined) {
      index = this.#ifindexes.size + 2;
      this.#ifindexes.set(name, index);
    }
    return index;
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

function prefixKey(route: { readonly table: number; readonly dst: string }): string {
  return `${route.table} ${route.dst}`;
}

function ruleKey(rule: MarkRule): string {
  return `${rule.priority} ${rule.mark} ${rule.table} ${rule.protocol}`;
}

/**
 * Whether a delete request for `wanted` takes `there`: what the request leaves open (source, interface,
 * metric 0, protocol 0) matches anything, as in Linux's `fib_table_delete`.
 */
function matches(there: KernelRoute, wanted: Route | KernelRoute): boolean {
  return (wanted.via === null || there.via === wanted.via) &&
    (wanted.src === null || there.src === wanted.src) &&
    (wanted.protocol === 0 || there.protocol === wanted.protocol) &&
    (!wanted.metric || there.metric === wanted.metric) &&
    (!("ifindex" in wanted) || wanted.ifindex === 0 || there.ifindex === wanted.ifindex);
}
