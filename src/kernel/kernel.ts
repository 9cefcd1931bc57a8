import type { KernelChangeListener } from "./change.ts";
import type { KernelRoute, Route } from "./route.ts";
import type { RouteList } from "./route_list.ts";

export type { Actor, KernelChange, KernelChangeListener } from "./change.ts";
export type { RouteList } from "./route_list.ts";

/**
 * Why the kernel (or libnl before it) refused a request.
 *
 * - `exists`, `not_found`: EEXIST; ESRCH or ENOENT.
 * - `unreachable`: the next hop is not reachable (ENETUNREACH, EHOSTUNREACH, or EINVAL with the
 *   kernel's text "Nexthop has invalid gateway").
 * - `no_device`: the interface does not exist (ENODEV) or is down (ENETDOWN).
 * - `permission`: EPERM or EACCES.
 * - `invalid`: EINVAL otherwise.
 * - `busy`: ENOBUFS, ENOMEM, EAGAIN, EBUSY; worth another try soon.
 * - `closed`: the kernel object was closed before the answer came.
 * - `other`: everything else.
 */
export type KernelErrorCode =
  | "exists"
  | "not_found"
  | "unreachable"
  | "no_device"
  | "permission"
  | "invalid"
  | "busy"
  | "closed"
  | "other";

/** A refusal as a value: nothing in the kernel room throws for what the kernel answers. */
export interface KernelError {
  readonly code: KernelErrorCode;
  /** The kernel's errno, positive; 0 when the request never reached the kernel. */
  readonly errno: number;
  /** libnl's text for the error, with the kernel's extended text appended when it gave one. */
  readonly text: string;
}

/** The kernel's word on one request. */
export type KernelResult = { readonly ok: true } | {
  readonly ok: false;
  readonly error: KernelError;
};

/** The answer to a list request. */
export type ListResult<Routes extends Iterable<KernelRoute> = RouteList> =
  | { readonly ok: true; readonly routes: Routes }
  | { readonly ok: false; readonly error: KernelError };

/** Which routes to list; the kernel filters where it can. Absent means any. */
export interface RouteFilter {
  readonly protocol?: number;
  readonly table?: number;
}

/** `ip rule add fwmark MARK lookup TABLE priority PRIORITY protocol PROTOCOL`. */
export interface MarkRule {
  readonly mark: number;
  readonly table: number;
  readonly priority: number;
  readonly protocol: number;
}

/** Plain counters of the kernel room, for `status` and metrics. Only ever grow. */
export interface KernelCounters {
  requests: number;
  /** Requests refused or unanswered. A delete that answers `not_found` is none: what was to go is gone. */
  failures: number;
  dumps: number;
  /** Messages from the kernel that could not be read: truncated, unknown type, wrong length. */
  unreadable: number;
  /** Receive-queue overruns (ENOBUFS) on the request socket. */
  overruns: number;
  /** Changes by others that subscribers were told of. */
  changes: number;
  /** Notifications of what livenessd has nothing to do with: IPv6, cached routes, table `local`, … */
  ignored: number;
  /** Overruns of the socket that brings notifications: each told as `overrun`. */
  changeOverruns: number;
}

/** Counters that start at 0. */
export function kernelCounters(): KernelCounters {
  return {
    requests: 0,
    failures: 0,
    dumps: 0,
    unreadable: 0,
    overruns: 0,
    changes: 0,
    ignored: 0,
    changeOverruns: 0,
  };
}

/**
 * The kernel seam: the routing table as livenessd needs it. Requests are carried out in the order in
 * which they were made; a promise settles when the kernel has answered that very request, and never
 * rejects. No request blocks the loop: work is done in slices.
 */
export interface Kernel {
  readonly counters: KernelCounters;
  /** Requests that are not answered yet. */
  readonly pending: number;
  /** Creates the route or replaces the one with the same table, prefix and metric. */
  replace(route: Route): Promise<KernelResult>;
  /** Deletes exactly this route. A route that is not there answers `not_found`. */
  delete(route: Route): Promise<KernelResult>;
  /** Lists IPv4 unicast routes of every table unless filtered. */
  list(filter: RouteFilter): Promise<ListResult>;
  /** Adds the rule; one that is already there is success. */
  addRule(rule: MarkRule): Promise<KernelResult>;
  /** Deletes the rule; one that is not there answers `not_found`. */
  deleteRule(rule: MarkRule): Promise<KernelResult>;
  /** Index of the interface that has this name now; 0 when there is none. */
  ifindex(dev: string): number;
  /**
   * Tells the listener of changes that others make from now on, until the subscription is disposed of
   * or the kernel is closed. While there is one, the event loop stays alive.
   *
   * @throws {Error} when the kernel grants no socket for it, or the object is closed
   */
  subscribe(listener: KernelChangeListener): Disposable;
  /** Ends the connection. Requests still waiting answer `closed`; subscriptions end. */
  close(): void;
}
