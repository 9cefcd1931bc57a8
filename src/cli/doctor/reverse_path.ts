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
import type { Host } from "./host.ts";
import { devsOf } from "./interfaces.ts";
import { lengthOf, LongestMatch } from "./prefixes.ts";
import { mayMatch } from "./rules.ts";
import { interfaceSetting } from "./shell.ts";

const CONF = "/proc/sys/net/ipv4/conf";

/** The reverse path filter on the routes' interfaces. */
export async function checkReversePath(facts: Facts): Promise<Finding[]> {
  const devs = devsOf(facts.config.routes).filter((dev) => modeOf(facts.host, dev) !== null);
  if (devs.length === 0) return [];
  const filtered = devs.filter((dev) => modeOf(facts.host, dev)! > 0);
  return orFine(
    filtered.length === 0 ? [] : await judge(facts, filtered),
    "rp_filter",
    `The reverse path filter lets the peers' packets in: ${listed(devs)}`,
  );
}

/** The number that counts: the greater of the interface's and that of all; `null` when there is none. */
function modeOf(host: Host, dev: string): number | null {
  const own = host.readFile(`${CONF}/${dev}/rp_filter`);
  const all = host.readFile(`${CONF}/all/rp_filter`) ?? "0";
  return own === null ? null : Math.max(Number(own), Number(all));
}

/** An interface on which the filter drops the packets of some peers. */
interface Harm {
  readonly dev: string;
  readonly mode: number;
  readonly lost: readonly RouteConfig[];
}

async function judge(facts: Facts, devs: readonly string[]): Promise<Finding[]> {
  const ways = await otherWays(facts);
  if (!ways.ok) {
    return [undetermined("rp_filter", "Whether the reverse path filter does harm", ways)];
  }
  const { host, config: { routes } } = facts;
  const harms = devs.map((dev): Harm => {
    const mode = modeOf(host, dev)!;
    const peers = routes.filter((route) => route.dev === dev);
    return { dev, mode, lost: peers.filter(({ probe }) => !passes(mode, dev, probe, ways.value)) };
  }).filter(({ lost }) => lost.length > 0);
  return harms.map((harm) => problemOf(facts, harm, remedyOf(host, harm, harms, ways.value)));
}

/** The routes of a table that stay while ours are withdrawn. Tables come as the kernel looks them up. */
type Way = LongestMatch<ListedRoute>;

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
    ways.push(
      new LongestMatch(
        listing.value.filter(({ protocol, dst }) => protocol !== ours && lengthOf(dst) > least),
      ),
    );
  }
  return { ok: true, value: ways };
}

function isForAll(rule: Rule): boolean {
  return mayMatch(rule, 0) && rule.priority !== 0;
}

function passes(mode: number, dev: string, peer: string, ways: readonly Way[]): boolean {
  const address = parseAddress(peer)!;
  for (const way of ways) {
    const best = way.find(address);
    if (best === undefined) continue;
    if (best.type !== undefined) return false;
    return mode === 2 || best.dev === dev || (best.nexthops ?? []).some((hop) => hop.dev === dev);
  }
  return false;
}

function problemOf({ config }: Facts, { dev, mode, lost }: Harm, remedy: string): Finding {
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
  // A passive daemon installs at once and withdraws nothing.
  return config.mode === "active"
    ? failure(id, what, why, remedy)
    : warning(id, what, `${why} In mode passive routes are not withdrawn.`, remedy);
}

/** Loose where that is enough: the greater number counts, so this interface's alone does it. */
function remedyOf(
  host: Host,
  { dev, lost }: Harm,
  harms: readonly Harm[],
  ways: readonly Way[],
): string {
  return lost.every(({ probe }) => passes(2, dev, probe, ways))
    ? `sysctl -w ${interfaceSetting(dev, "rp_filter")}=2`
    : switchOff(host, dev, new Set(harms.map((harm) => harm.dev)));
}

/** Off needs 0 in both; what `all` gave to the other interfaces is given to each instead. */
function switchOff(host: Host, dev: string, harmed: ReadonlySet<string>): string {
  const all = Number(host.readFile(`${CONF}/all/rp_filter`) ?? 0);
  const off = `sysctl -w ${interfaceSetting(dev, "rp_filter")}=0`;
  if (all === 0) return off;
  const others = host.list(CONF).filter((name) => name !== "all" && !harmed.has(name));
  const kept = others.map((name) => {
    const own = Number(host.readFile(`${CONF}/${name}/rp_filter`) ?? 0);
    return `${interfaceSetting(name, "rp_filter")}=${Math.max(own, all)}`;
  });
  const keep = kept.length === 0 ? "" : `sysctl -w ${kept.join(" ")} && `;
  return `${keep}${off} net.ipv4.conf.all.rp_filter=0`;
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
