import type { SessionSnapshot } from "../manager/snapshot.ts";

/** A counter of something that went wrong. */
export interface FailureCount {
  /** snake_case, the same word as in the metrics where there is one. */
  readonly name: string;
  readonly count: number;
  /** What it means, in a few words for an operator. */
  readonly meaning: string;
}

/** One local endpoint. */
export interface EndpointStatus {
  readonly dev: string;
  readonly src: string;
  readonly port: number;
  readonly open: boolean;
  /** Why it is not open; `null` while it is. */
  readonly reason: string | null;
}

export interface ReconcilerStatus {
  readonly enabled: boolean;
  /** Time between sweeps; 0 when disabled. */
  readonly interval_us: number;
  /** RFC 3339 UTC of the last sweep's end; `null` before the first. */
  readonly last_run: string | null;
  /** How long the last sweep took; `null` before the first. */
  readonly last_took_us: number | null;
  /** Why the last sweep failed; `null` when it did not. */
  readonly last_error: string | null;
  readonly reinstalls: number;
  readonly failures: number;
}

/** What `GET /v1/status` answers. Field names are the API's JSON. */
export interface Status {
  readonly version: string;
  readonly deno: string;
  readonly pid: number;
  /** RFC 3339 UTC. */
  readonly started: string;
  readonly uptime_s: number;
  readonly mode: "active" | "passive";
  /** How packets move, e.g. `recvmmsg/sendmmsg`. */
  readonly transport: string;
  readonly sessions: Readonly<Record<SessionSnapshot["state"], number>>;
  readonly routes: {
    readonly wanted: number;
    readonly installed: number;
    readonly refused: number;
  };
  /** Every failure counter, those at 0 included. */
  readonly failures: readonly FailureCount[];
  readonly endpoints: readonly EndpointStatus[];
  readonly reconciler: ReconcilerStatus;
  readonly loop: {
    /** What starts a turn: each arriving packet (`wakeup`), or a tick of 5 ms (`tick`), by load. */
    readonly mode: "wakeup" | "tick";
    /** The latest that the loop was since the start. */
    readonly lag_max_us: number;
  };
}

/** Whether the daemon does its work. */
export type Readiness = { readonly ready: true } | {
  readonly ready: false;
  /** What is missing, for people. */
  readonly reason: string;
};

/** What the API asks of the daemon as a whole; constant time in the number of sessions. */
export interface StatusSource {
  status(): Status;
  readiness(): Readiness;
}
