/**
 * Whether the kernel drops the peers' packets because no route leads back to them (rp_filter), and
 * whether the host forwards.
 *
 * A peer's packets come from the probed address. While the route to it is withdrawn, strict checking (1)
 * drops them unless another route to it leaves by the same interface; loose checking (2) drops them when no
 * route at all leads to it. The probes' own table does not count: the check looks without the mark.
 */
import type { RouteConfig } from "../../config/config.ts";
import { parseAddress } from "../../kernel/ipv4.ts";
import type { Facts, ListedRoute, Rule } from "./facts.ts";
import {
  type Answer,
  failure,
  type Finding,
  fine,
  listed,
  orFine,
  undetermined,
  warning,
} from "./finding.ts";
import { devsOf } from "./interfaces.ts";
import { covers } from "./prefixes.ts";
import { mayMatch } from "./rules.ts";
import { interfaceSetting, quote } from "./shell.ts";

const CONF = "/proc/sys/net/ipv4/conf";

/** The reverse path filter on the routes' interfaces. */
export async function checkReversePath(facts: Facts): Promise<Finding[]> {
  const { host, config: { routes } } = facts;
  const all = host.readFile(`${CONF}/all/rp_filter`);
  const devs = devsOf(routes).filter((dev) => host.readFile(`${CONF}/${dev}/rp_filter`) !== null);
  if (devs.length === 0) return [];
  const problems: Finding[] = [];
  for (const dev of devs) {
    // The stricter number of the two counts, and 2 is greater than 1.
    const own = Number(host.readFile(`${CONF}/${dev}/rp_filter`));
    const mode = Math.max(Number(all ?? 0), own);
    if (mode === 0) continue;
    const ways = await otherWays(facts);
    if (!ways.ok) {
      problems.push(undetermined(`rp_filter:${dev}`, `Whether rp_filter=${mode} does harm`, ways));
      continue;
    }
    const peers = routes.filter((route) => route.dev === dev);
    const lost = peers.filter(({ probe }) => !passes(mode, dev, parseAddress(probe)!, ways.value));
    if (lost.length > 0) problems.push(problemOf(facts, dev, mode, lost, ways.value));
  }
  return orFine(
    problems,
    "rp_filter",
    `The reverse path filter lets the peers' packets in: ${listed(devs)}`,
  );
}

/** The routes of one table that stay while ours are withdrawn. Tables come as the kernel looks them up. */
type Way = readonly ListedRoute[];

/** What the check looks through: unmarked packets, and only routes of other protocols stay. */
async function otherWays(facts: Facts): Promise<Answer<Way[]>> {
  const rules = await facts.rules();
  if (!rules.ok) return rules;
  const ours = String(facts.config.kernel.protocol);
  const ways: Way[] = [];
  for (const { table, action, suppress_prefixlen: least = -1 } of rules.value.filter(isForAll)) {
    if (table === undefined || action !== undefined) continue;
    const listing = await facts.ip<ListedRoute>("route", "show", "table", table);
    if (!listing.ok) return listing;
    ways.push(listing.value.filter((r) => r.protocol !== ours && lengthOf(r.dst) > least));
  }
  return { ok: true, value: ways };
}

function isForAll(rule: Rule): boolean {
  return mayMatch(rule, 0) && rule.priority !== 0;
}

function passes(mode: number, dev: string, peer: number, ways: readonly Way[]): boolean {
  for (const way of ways) {
    const [best] = way.filter(({ dst }) => covers(dst, peer))
      .sort((a, b) => lengthOf(b.dst) - lengthOf(a.dst));
    if (best === undefined) continue;
    if (best.type !== undefined) return false;
    return mode === 2 || best.dev === dev || (best.nexthops ?? []).some((hop) => hop.dev === dev);
  }
  return false;
}

function lengthOf(dst: string): number {
  return dst === "default" ? 0 : Number(dst.split("/")[1] ?? 32);
}

function problemOf(
  facts: Facts,
  dev: string,
  mode: number,
  lost: readonly RouteConfig[],
  ways: readonly Way[],
): Finding {
  const id = `rp_filter:${dev}`;
  const peers = listed([...new Set(lost.map(({ probe }) => probe))], 3);
  const kind = mode === 1 ? "strict" : "loose";
  const cause = mode === 1
    ? `no other route to the peer leaves by ${dev}`
    : "no other route leads to the peer at all";
  const what = `rp_filter is ${kind} (${mode}) on ${dev}`;
  const why =
    `While a route is withdrawn ${cause}, so the kernel drops the peer's packets and the session ` +
    `cannot come up again: ${peers}.`;
  const loose = lost.every(({ probe }) => passes(2, dev, parseAddress(probe)!, ways));
  const remedy = loose ? loosen(dev) : switchOff(facts, dev);
  // A passive daemon installs at once and withdraws nothing.
  return facts.config.mode === "active"
    ? failure(id, what, why, remedy)
    : warning(id, what, `${why} In mode passive routes are not withdrawn.`, remedy);
}

/** The greater of the two numbers counts: this interface's alone makes it loose. */
function loosen(dev: string): string {
  return `sysctl -w ${interfaceSetting(dev, "rp_filter")}=2`;
}

/** Off needs 0 in both; what `all` gave to the other interfaces is given to each instead. */
function switchOff({ host }: Facts, dev: string): string {
  const all = host.readFile(`${CONF}/all/rp_filter`)?.trim() ?? "0";
  const off = `sysctl -w ${interfaceSetting(dev, "rp_filter")}=0`;
  if (all === "0") return off;
  const others = host.list(CONF).filter((name) => name !== "all" && name !== dev).map((name) => {
    const own = Number(host.readFile(`${CONF}/${name}/rp_filter`) ?? 0);
    return `${interfaceSetting(name, "rp_filter")}=${Math.max(own, Number(all))}`;
  });
  const keep = others.length === 0 ? "" : `sysctl -w ${others.join(" ")} && `;
  return `${keep}${off} ${quote("net.ipv4.conf.all.rp_filter")}=0`;
}

/** Forwarding is only for those who route for others. */
export function checkForwarding({ host, config: { routes } }: Facts): Finding[] {
  const devs = devsOf(routes);
  const on = (dev: string) => host.readFile(`${CONF}/${dev}/forwarding`)?.trim() === "1";
  const known = devs.filter((dev) => host.readFile(`${CONF}/${dev}/forwarding`) !== null);
  if (known.length === 0) return [];
  const off = known.filter((dev) => !on(dev));
  const why =
    "Packets of this host itself need no forwarding; a router needs it (sysctl net.ipv4.ip_forward).";
  return off.length === 0
    ? [fine("forwarding", `Forwarding is on: ${listed(known)}`)]
    : [fine("forwarding", `Forwarding is off: ${listed(off)}`, why)];
}
