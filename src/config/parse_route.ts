import type { RouteConfig } from "./config.ts";
import { Findings } from "./findings.ts";
import type { Iproute2Names } from "./iproute2_names.ts";
import { describeValue, type Location, mismatch, type Problem } from "./problem.ts";
import { isComplete, resolveRoute } from "./resolve.ts";
import { checkRoute, type RouteSurroundings } from "./route_checks.ts";
import { routeSchema } from "./schema.ts";
import { validate } from "./validate.ts";

/** What {@link parseRoute} needs besides the route. */
export interface ParseRouteOptions extends Partial<RouteSurroundings> {
  readonly names: Iproute2Names;
  /** What stands in a problem's place of the file; `request` unless given. */
  readonly origin?: string;
}

export type RouteResult =
  | { readonly ok: true; readonly route: RouteConfig }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads one route that came by the API: the keys and checks of an entry of `routes`. */
export function parseRoute(value: unknown, options: ParseRouteOptions): RouteResult {
  const place: Location = { file: options.origin ?? "request", line: null, column: null };
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { ok: false, problems: [mismatch(place, [], describeValue(value), "a JSON object")] };
  }
  const findings = new Findings({ data: value, locate: () => place });
  const { draft } = validate(routeSchema, findings);
  const route = resolveRoute(draft, [], options.names, findings);
  checkRoute(route, [], { bind: options.bind, probeTable: options.probeTable }, findings);
  if (findings.problems.length > 0 || !isComplete(route)) {
    return { ok: false, problems: findings.problems };
  }
  return { ok: true, route };
}
