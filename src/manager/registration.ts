/** What is refused at registration, and in which words. Each check names what was given and what stands. */
import type { RouteConfig } from "../config/config.ts";
import type { Refusal, RouteKeyParts } from "./manager_api.ts";
import type { RouteEntry } from "./route_entry.ts";
import type { SessionEntry } from "./session_entry.ts";

/** What a registration is checked against. */
export interface Standing {
  /** The one local address that sessions may use; `0.0.0.0` is any. */
  readonly bind: string;
  /** The wanted route that has the same table and destination. */
  readonly sameSlot: RouteEntry | undefined;
  /** A session that probes the same address through the same interface. */
  readonly sameProbe: SessionEntry | undefined;
}

/** Why the route cannot be wanted as well; `null` when it can. */
export function registrationRefusal(config: RouteConfig, standing: Standing): Refusal | null {
  const { bind, sameSlot, sameProbe } = standing;
  if (bind !== "0.0.0.0" && bind !== config.src) {
    return invalid(`src ${config.src} is not the address that liveness.bind allows: ${bind}`);
  }
  if (config.probe === config.src) {
    return invalid(`probe ${config.probe} is the session's own src; it must be another host`);
  }
  if (sameSlot !== undefined) return slotTaken(config, sameSlot.config);
  if (sameProbe !== undefined && sameProbe.via !== config.via) return probeTaken(config, sameProbe);
  return null;
}

function slotTaken(config: RouteConfig, other: RouteConfig): Refusal {
  if (sameRoute(other, config)) {
    return { ok: false, code: "duplicate", message: `${routeText(config)} is already wanted` };
  }
  return conflict(
    `table ${config.table} can hold one route to ${config.dst}, and ` +
      `${routeText(other)} is wanted already`,
  );
}

function probeTaken({ dev, probe, via }: RouteConfig, other: SessionEntry): Refusal {
  return conflict(
    `${probe} is already probed through dev ${dev} via ${other.via}; it cannot be probed ` +
      `via ${via} as well: choose another probe address`,
  );
}

/** The same next hop, interface and source; table and destination are compared by who asks. */
export function sameRoute(a: RouteKeyParts, b: RouteKeyParts): boolean {
  return a.via === b.via && a.dev === b.dev && a.src === b.src;
}

/** A route in iproute2's words. */
export function routeText({ dst, via, dev, src, table }: RouteKeyParts): string {
  return `${dst} via ${via} dev ${dev} src ${src} table ${table}`;
}

export function notFound(message: string): Refusal {
  return { ok: false, code: "not_found", message };
}

function conflict(message: string): Refusal {
  return { ok: false, code: "conflict", message };
}

export function invalid(message: string): Refusal {
  return { ok: false, code: "invalid", message };
}
