import type { Refusal } from "../manager/manager_api.ts";
import type { RouteSnapshot } from "../manager/snapshot.ts";
import { readJsonObject } from "./body.ts";
import type { ApiContext } from "./context.ts";
import { ApiProblem, quote } from "./problem.ts";
import { jsonArrayBody, slices } from "./slices.ts";

/** What names a route in `DELETE /v1/routes`; only `dst` must be given when the rest is unique. */
const KEY_FIELDS = ["dst", "via", "dev", "src", "table"] as const;

type RouteKeyGiven = Partial<Record<(typeof KEY_FIELDS)[number], string>>;

/** Candidates named when a key fits several. */
const SHOWN = 20;

/** `GET /v1/routes`: every wanted route. */
export function listRoutes(context: ApiContext): Response {
  return new Response(jsonArrayBody(context.manager.routes(), context.pause), {
    headers: { "content-type": "application/json" },
  });
}

/** `POST /v1/routes`: adds the route that the body describes in the configuration's words. */
export async function addRoute(context: ApiContext, request: Request): Promise<Response> {
  const parsed = context.parseRoute(await readJsonObject(request));
  if (!parsed.ok) {
    throw new ApiProblem(422, parsed.problems.join("; "), { problems: parsed.problems });
  }
  const outcome = context.manager.register(parsed.route, "api");
  if (!outcome.ok) throw refused(outcome);
  const { noUninstall, ...route } = parsed.route;
  return Response.json({ ...route, no_uninstall: noUninstall }, { status: 201 });
}

/** `DELETE /v1/routes`: withdraws the one route that the query, or a JSON body, names. */
export async function removeRoute(context: ApiContext, request: Request): Promise<Response> {
  const { searchParams } = new URL(request.url);
  const given = searchParams.size > 0
    ? Object.fromEntries(searchParams)
    : await readJsonObject(request);
  const route = await findRoute(context, readKey(given));
  const { dev, src, table, dst, via } = route;
  const outcome = await context.manager.withdraw({ dev, src, table, dst, via });
  if (!outcome.ok) throw refused(outcome);
  return Response.json({ dst, via, dev, src, table });
}

/** A refusal of the manager as a problem document. */
export function refused(refusal: Refusal): ApiProblem {
  const status = { duplicate: 409, conflict: 409, not_found: 404, invalid: 422 }[refusal.code];
  return new ApiProblem(status, refusal.message, { code: refusal.code });
}

function readKey(given: Record<string, unknown>): RouteKeyGiven {
  const allowed = `allowed are ${KEY_FIELDS.join(", ")}`;
  for (const [name, value] of Object.entries(given)) {
    if (!KEY_FIELDS.some((field) => field === name)) {
      throw new ApiProblem(400, `a route has no ${quote(name)}; ${allowed}`);
    }
    if (typeof value !== "string" && !(name === "table" && typeof value === "number")) {
      throw new ApiProblem(400, `${name} must be text, got ${quote(value)}`);
    }
  }
  if (given.dst === undefined) {
    throw new ApiProblem(400, `dst is missing: the prefix of the route to remove; ${allowed}`);
  }
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
}

async function findRoute(context: ApiContext, key: RouteKeyGiven): Promise<RouteSnapshot> {
  const fits = matcher(context, key);
  const found: RouteSnapshot[] = [];
  for await (const slice of slices(context.manager.routes(), context.pause)) {
    found.push(...slice.filter(fits));
  }
  const [route] = found;
  const words = KEY_FIELDS.filter((field) => key[field] !== undefined)
    .map((field) => field === "dst" ? key.dst : `${field} ${key[field]}`).join(" ");
  if (route === undefined) throw new ApiProblem(404, `there is no wanted route ${words}`);
  if (found.length > 1) {
    const candidates = found.slice(0, SHOWN)
      .map(({ dst, via, dev, src, table }) => ({ dst, via, dev, src, table }));
    const detail = `${words} fits ${found.length} routes: say via, dev, src or table, too`;
    throw new ApiProblem(409, detail, { candidates });
  }
  return route;
}

function matcher(context: ApiContext, key: RouteKeyGiven): (route: RouteSnapshot) => boolean {
  const table = key.table === undefined ? undefined : context.tableNumber(key.table);
  if (key.table !== undefined && table === undefined) {
    const allowed = "allowed is a number or a name of /etc/iproute2/rt_tables";
    throw new ApiProblem(400, `there is no routing table ${quote(key.table)}; ${allowed}`);
  }
  // As in iproute2, an address without a length is a host route.
  const dst = key.dst === undefined || key.dst.includes("/") ? key.dst : `${key.dst}/32`;
  return (route) =>
    route.dst === dst &&
    (key.via === undefined || route.via === key.via) &&
    (key.dev === undefined || route.dev === key.dev) &&
    (key.src === undefined || route.src === key.src) &&
    (table === undefined || route.table === table);
}
