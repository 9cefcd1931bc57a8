import type { LogLevel } from "../config/config.ts";
import { escapeControls } from "./escape.ts";
import type { Event, EventRoute, EventSession } from "./event.ts";

const WARNINGS: ReadonlySet<Event["kind"]> = new Set([
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

const DETAILS: ReadonlySet<Event["kind"]> = new Set([
  "session_added",
  "session_removed",
  "route_registered",
  "route_forgotten",
]);

/** How loud an event is: failures and lost sessions warn, bookkeeping is for debugging. */
export function levelOf(event: Event): LogLevel {
  if (WARNINGS.has(event.kind)) return "warn";
  if (DETAILS.has(event.kind)) return "debug";
  if (event.kind !== "session_state") return "info";
  if (event.to === "init") return "debug";
  // An operator who took a session down need not be warned of it.
  return event.from === "up" && event.to !== "admin_down" ? "warn" : "info";
}

/** One line for people: what happened, to what, why, and what it took. Safe to print. */
export function describeEvent(event: Event): string {
  const subject = event.route !== undefined
    ? routeWords(event.route)
    : event.session !== undefined
    ? sessionWords(event.session)
    : "";
  let text = event.kind === "session_state" ? "session" : event.kind.replaceAll("_", " ");
  if (subject !== "") text += ` ${subject}`;
  if (event.to !== undefined) text += `: ${event.from ?? "new"} -> ${event.to}`;
  if (event.reason !== undefined) text += ` (${event.reason})`;
  if (event.after_us !== undefined) text += ` after ${durationWords(event.after_us)}`;
  if (event.message !== undefined) text += `: ${event.message}`;
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
