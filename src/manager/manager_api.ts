import type { RouteConfig } from "../config/config.ts";
import type { RouteOrigin, RouteSnapshot, SessionSnapshot } from "./snapshot.ts";

/** Why the manager refused a registration, a withdrawal or an administrative command. */
export interface Refusal {
  readonly ok: false;
  /** `duplicate`, `conflict`: the route clashes with another; `not_found`: no such route or session. */
  readonly code: "duplicate" | "conflict" | "not_found" | "invalid";
  /** A sentence that names what was given and what is allowed. */
  readonly message: string;
}

export type Outcome = { readonly ok: true } | Refusal;

/** What names a route for withdrawal; the manager's key, by its parts. */
export type RouteKeyParts = Pick<RouteConfig, "dev" | "src" | "table" | "dst" | "via">;

/** What names a session. */
export interface SessionKeyParts {
  readonly dev: string;
  readonly src: string;
  readonly peer: string;
}

/** What the API and the sources may ask of the manager. */
export interface ManagerApi {
  /** Adds a wanted route and its session. */
  register(route: RouteConfig, origin: RouteOrigin): Outcome;
  /** Forgets a wanted route, then removes it from the kernel as policy says; settles when done. */
  withdraw(key: RouteKeyParts): Promise<Outcome>;
  /** Takes a session administratively down, or up again. */
  setAdmin(key: SessionKeyParts, state: "down" | "up"): Outcome;
  /** Made one by one as they are taken: tens of thousands at once would hold the loop up. */
  routes(): Iterable<RouteSnapshot>;
  sessions(): Iterable<SessionSnapshot>;
  /** Numbers for `status`: cheap, constant time in the number of sessions. */
  counts(): ManagerCounts;
}

/** Totals for `status` and the metrics. */
export interface ManagerCounts {
  readonly sessions: Readonly<Record<SessionSnapshot["state"], number>>;
  readonly routesWanted: number;
  readonly routesInstalled: number;
  readonly routesRefused: number;
  readonly unknownPeerPackets: number;
}
