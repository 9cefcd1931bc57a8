/** Names of the host to numbers, and what a setting leaves open filled in from the others. */
import type { RouteConfig } from "./config.ts";
import type { Findings } from "./findings.ts";
import type { Iproute2Names, NameTable } from "./iproute2_names.ts";
import { nearest } from "./nearest.ts";
import type { KeyPath } from "./problem.ts";
import type { RouteValues } from "./schema.ts";
import type { Draft } from "./validate.ts";

/** A route of which refused parts are missing. */
export type RouteDraft = { readonly [K in keyof RouteConfig]?: RouteConfig[K] | undefined };

/** The number of a table or protocol; `undefined` when there is none, then with a problem. */
export function resolveName(
  given: string | number | undefined,
  table: NameTable,
  path: KeyPath,
  findings: Findings,
): number | undefined {
  if (typeof given !== "string") return given;
  const number = table.numberOf(given);
  if (number === undefined) explainUnknownName(given, table, path, findings);
  return number;
}

const SHOWN_NAMES = 8;

function explainUnknownName(
  given: string,
  table: NameTable,
  path: KeyPath,
  findings: Findings,
): void {
  const near = nearest(given, table.names);
  const shown = table.names.filter((name) => table.numberOf(name) !== 0);
  const list = shown.slice(0, SHOWN_NAMES).join(", ") + (shown.length > SHOWN_NAMES ? ", ..." : "");
  const read = table.files.length === 0
    ? `no ${table.homeFile} on this host: built-in names only`
    : `read ${table.files.join(", ")}`;
  findings.refuse(path, `a number or a known name: ${list}`, {
    remark: near === undefined ? read : `did you mean "${near}"? ${read}`,
  });
}

/** A route with its table's number and whom to probe. */
export function resolveRoute(
  values: Draft<RouteValues>,
  path: KeyPath,
  names: Iproute2Names,
  findings: Findings,
): RouteDraft {
  const { dst, via, dev, src, no_uninstall: noUninstall } = values;
  const table = resolveName(values.table, names.tables, [...path, "table"], findings);
  const probe = values.probe ?? defaultProbe(dst, [...path, "probe"], findings);
  return { dst, via, dev, src, table, probe, noUninstall };
}

/** A host route probes its destination; a wider prefix has no such address. */
function defaultProbe(
  dst: string | undefined,
  path: KeyPath,
  findings: Findings,
): string | undefined {
  if (dst === undefined || findings.isRefused(path)) return undefined;
  if (dst.endsWith("/32")) return dst.slice(0, -"/32".length);
  findings.refuse(path, `an address to probe, because ${dst} is more than one host`);
  return undefined;
}

/** Whether every part of a route is known. */
export function isComplete(route: RouteDraft): route is RouteConfig {
  const { dst, via, dev, src, table, probe, noUninstall } = route;
  return [dst, via, dev, src, table, probe, noUninstall].every((part) => part !== undefined);
}
