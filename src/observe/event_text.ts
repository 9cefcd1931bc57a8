import type { LogLevel } from "../config/config.ts";
import { escapeControls } from "./escape.ts";
import type { EventDetails, EventKind, EventRoute, EventSession } from "./event.ts";

const WARNINGS: ReadonlySet<EventKind> = new Set([
  "route_reinstalled",
  "route_install_failed",
  "route_uninstall_failed",
  "route_refused",
  "route_removed_externally",
  "route_contested",
  "state_file_failed",
  "kernel_overrun",
  "endpoint_lost",
  "probe_route_failed",
  "reconcile_failed",
  "local_stall",
]);

const DETAILS: ReadonlySet<EventKind> = new Set([
  "session_added",
  "session_removed",
  "route_registered",
  "route_forgotten",
]);

/** How loud an event is: failures and lost sessions warn, bookkeeping is for debugging. */
export function levelOf(kind: EventKind, { from, to }: EventDetails): LogLevel {
  if (WARNINGS.has(kind)) return "warn";
  if (DETAILS.has(kind)) return "debug";
  if (kind !== "session_state") return "info";
  if (to === "init") return "debug";
  // An operator who took a session down need not be warned of it.
  return from === "up" && to !== "admin_down" ? "warn" : "info";
}

/** One line for people: what happened, to what, why, and what it took. Safe to print. */
export function describeEvent(kind: EventKind, details: EventDetails): string {
  const { route, session, from, to, reason, after_us, message } = details;
  const subject = route !== undefined
    ? routeWords(route)
    : session !== undefined
    ? sessionWords(session)
    : "";
  let text = kind === "session_state" ? "session" : kind.replaceAll("_", " ");
  if (subject !== "") text += ` ${subject}`;
  if (to !== undefined) text += `: ${from ?? "new"} -> ${to}`;
  if (reason !== undefined) text += ` (${reason})`;
  if (after_us !== undefined) text += ` after ${durationWords(after_us)}`;
  if (message !== undefined) text += `: ${message}`;
  return escapeControls(text);
}

/** A time span in the unit that reads best, e.g. `850 us`, `1.2 ms`, `3.05 s`. */
export function durationWords(us: number): string {
  if (us < 1_000) return `${Math.round(us)} us`;
  if (us < 1_000_000) return `${Number((us / 1_000).toPrecision(3))} ms`;
  return `${Number((us / 1_000_000).toFixed(2))} s`;
}

function sessionWords(session: EventSession): string {
  return `${session.peer} dev ${session.dev} src ${session.src}`;
}

function routeWords(route: EventRoute): string {
  return `${route.dst} via ${route.via} dev ${route.dev} src ${route.src} table ${route.table}`;
}
