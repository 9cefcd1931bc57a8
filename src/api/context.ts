import type { RouteConfig } from "../config/config.ts";
import type { ListResult } from "../kernel/kernel.ts";
import type { KernelRoute } from "../kernel/route.ts";
import type { ManagerApi } from "../manager/manager_api.ts";
import type { EventLog } from "../observe/event_log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { StatusSource } from "./status.ts";

/** A route in the configuration's words, judged. */
export type ParsedRoute = { readonly ok: true; readonly route: RouteConfig } | {
  readonly ok: false;
  /** All that is wrong with it, one sentence each. */
  readonly problems: readonly string[];
};

/** Everything that the control API needs from the daemon. */
export interface ApiContext {
  /** Its routes and sessions are taken a slice at a time; the loop runs between two slices. */
  readonly manager: Omit<ManagerApi, "counts">;
  readonly status: StatusSource;
  readonly events: Pick<EventLog, "follow" | "history" | "sessionHistory">;
  readonly metrics: Pick<Metrics, "scrape">;
  /** Judges a route given as the configuration's mapping: `{dst, via, dev, src, table?, probe?, …}`. */
  parseRoute(input: unknown): ParsedRoute;
  /** The number of a routing table given by name or number; `undefined` when there is none. */
  tableNumber(text: string): number | undefined;
  /** The kernel's routes of our protocol, without our own probe routes. */
  kernelRoutes(): Promise<ListResult<Iterable<KernelRoute>>>;
  /** Lets the loop run; the handlers call it between two slices of a long answer. */
  readonly pause: () => Promise<void>;
  /** Told of what a handler did not foresee; the client gets status 500. */
  onError(error: unknown): void;
}

/** Lets everything else that waits for the loop run first. */
export function pauseForLoop(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
