/** What the parts of a route mean for each other, and routes for routes. */
import type { RouteConfig } from "./config.ts";
import type { Findings } from "./findings.ts";
import type { KeyPath } from "./problem.ts";
import type { RouteDraft } from "./resolve.ts";

/** The settings around the routes that routes must agree with. */
export interface RouteSurroundings {
  /** The address that all sessions are bound to; 0.0.0.0 for any. */
  readonly bind: string | undefined;
  /** The table of probe routes. */
  readonly probeTable: number | undefined;
}

const LOCAL_TABLE = 255;

/** The checks that one route can fail by itself. Missing parts have been reported already. */
export function checkRoute(
  route: RouteDraft,
  path: KeyPath,
  { bind, probeTable }: RouteSurroundings,
  findings: Findings,
): void {
  const { dst, via, src, table, probe } = route;
  const at = (key: string) => [...path, key];
  if (src !== undefined && via === src) {
    findings.refuse(at("via"), `the peer's end of the link, not src (${src})`);
  }
  if (src !== undefined && dst === `${src}/32`) {
    findings.refuse(at("dst"), `a destination other than src (${src}), which is this host`);
  } else if (src !== undefined && probe === src) {
    findings.refuse(at("probe"), `an address of the peer, not src (${src})`);
  }
  if (src !== undefined && bind !== undefined && bind !== "0.0.0.0" && src !== bind) {
    findings.refuse(at("src"), `liveness.bind (${bind}), the only address sessions may use`);
  }
  if (table === LOCAL_TABLE || table === 0) {
    findings.refuse(at("table"), "a table for unicast routes, such as main");
  }
  if (table !== undefined && table === probeTable) {
    findings.refuse(at("table"), `a table other than probe_path.table (${probeTable})`, {
      given: findings.givenOrDefault(at("table"), String(table)),
      remark: "that one holds the probe routes alone",
    });
  }
}

/** The checks that need all routes: what the kernel or a session cannot hold side by side. */
export function checkRoutesTogether(
  routes: readonly RouteDraft[],
  pathOf: (index: number) => KeyPath,
  findings: Findings,
): void {
  const bySlot = new Map<string, number>();
  const byProbe = new Map<string, number>();
  routes.forEach((route, index) => {
    const first = firstAt(bySlot, slotOf(route), index);
    if (first !== index) explainSameSlot(routes, first, index, pathOf, findings);
    const other = firstAt(byProbe, probeSlotOf(route), index);
    const otherVia = routes[other]?.via;
    if (route.via !== undefined && otherVia !== undefined && otherVia !== route.via) {
      explainSameProbe(route, otherVia, pathOf(other), pathOf(index), findings);
    }
  });
}

/** Index of the first route with this key; `index` itself when there is none, or no key. */
function firstAt(seen: Map<string, number>, key: string | undefined, index: number): number {
  if (key === undefined) return index;
  const first = seen.get(key);
  if (first === undefined) seen.set(key, index);
  return first ?? index;
}

/** The kernel holds one route for each table and prefix (at one metric): a second replaces it. */
function slotOf({ table, dst }: RouteDraft): string | undefined {
  return table === undefined || dst === undefined ? undefined : `${table} ${dst}`;
}

/** The probe table holds one route for each probed address on a link. */
function probeSlotOf({ dev, probe }: RouteDraft): string | undefined {
  return dev === undefined || probe === undefined ? undefined : `${dev} ${probe}`;
}

const KEY_PARTS = ["dev", "src", "table", "dst", "via"] as const satisfies (keyof RouteConfig)[];

function explainSameSlot(
  routes: readonly RouteDraft[],
  first: number,
  index: number,
  pathOf: (index: number) => KeyPath,
  findings: Findings,
): void {
  const [one, two] = [routes[first] ?? {}, routes[index] ?? {}];
  if (KEY_PARTS.some((part) => one[part] === undefined || two[part] === undefined)) return;
  const same = KEY_PARTS.every((part) => one[part] === two[part]);
  const given = `${same ? "the same route" : "another route"} to ${two.dst} in table ${two.table}`;
  const where = `the first is ${nameOf(pathOf(first), findings)}`;
  findings.refuse(pathOf(index), "one route for a prefix and table", { given, remark: where });
}

function explainSameProbe(
  { via, probe, dev }: RouteDraft,
  otherVia: string,
  other: KeyPath,
  path: KeyPath,
  findings: Findings,
): void {
  findings.refuse([...path, "via"], `${otherVia}, through which ${probe} on ${dev} is probed`, {
    given: `next hop ${via}`,
    remark: `by ${nameOf(other, findings)}; give one of the two another probe`,
  });
}

function nameOf(path: KeyPath, findings: Findings): string {
  return `routes[${path.at(-1)}], ${findings.placeOf(path)}`;
}
