/** Whether the interfaces, local addresses and next hops that the routes name are there. */
import type { RouteConfig } from "../../config/config.ts";
import { parseAddress } from "../../kernel/ipv4.ts";
import type { Facts, Link, ListedRoute } from "./facts.ts";
import { failure, type Finding, listed, orFine, undetermined, warning } from "./finding.ts";
import { covers } from "./prefixes.ts";
import { quote } from "./shell.ts";

/** The smallest MTU with which Linux runs IPv4 on an interface. */
const LEAST_MTU = 68;

/** The interfaces exist, are up and carry IPv4. */
export async function checkInterfaces(facts: Facts): Promise<Finding[]> {
  const devs = devsOf(facts.config.routes);
  if (devs.length === 0) return [];
  const links = await facts.links();
  if (!links.ok) return [undetermined("interface", "The state of the interfaces", links)];
  const problems = devs.flatMap((dev) => {
    const link = links.value.find(({ ifname }) => ifname === dev);
    return link === undefined ? [missing(dev)] : problemsOf(link);
  });
  return orFine(problems, "interface", `Interfaces exist and are up: ${listed(devs)}`);
}

function missing(dev: string): Finding {
  return failure(
    `interface:${dev}`,
    `There is no interface ${dev}`,
    "Its sessions stay down until it appears; the daemon then opens them by itself.",
  );
}

function problemsOf({ ifname: dev, flags, mtu }: Link): Finding[] {
  const id = `interface:${dev}`;
  const why = "Nothing passes through it: its sessions stay down.";
  if (!flags.includes("UP")) {
    return [failure(id, `Interface ${dev} is down`, why, `ip link set dev ${quote(dev)} up`)];
  }
  if (mtu < LEAST_MTU) {
    const remedy = `ip link set dev ${quote(dev)} mtu 1400`;
    const what = `The MTU of ${dev} is ${mtu}`;
    return [failure(id, what, `Below ${LEAST_MTU} Linux runs no IPv4 on it.`, remedy)];
  }
  if (flags.includes("NO-CARRIER")) return [warning(id, `Interface ${dev} has no carrier`, why)];
  return [];
}

/** The local addresses are there. */
export function checkAddresses({ host, config: { routes } }: Facts): Finding[] {
  const devs = new Map(routes.map(({ src, dev }) => [src, dev]));
  if (devs.size === 0) return [];
  const problems = [...devs].flatMap(([src, dev]) => {
    const result = host.tryBind(src, 0);
    if (result === "not_local") return [missingAddress(src, dev)];
    if (result === "bound") return [];
    const reason = result === "in_use" ? "No port is free." : result.refused;
    const unknown = { ok: false, reason, remedy: null } as const;
    return [undetermined(`address:${src}`, `Whether ${src} is a local address`, unknown)];
  });
  return orFine(problems, "address", `Local addresses are there: ${listed([...devs.keys()])}`);
}

function missingAddress(src: string, dev: string): Finding {
  return failure(
    `address:${src}`,
    `No interface has the address ${src}`,
    "Its sessions stay down until it appears; the kernel refuses routes with it as their source.",
    `ip addr add ${src}/32 dev ${quote(dev)}`,
  );
}

/** The kernel accepts a next hop only when it is a neighbour on the route's interface. */
export async function checkNextHops(facts: Facts): Promise<Finding[]> {
  const links = await facts.links();
  // Without the interfaces there is nothing to add to what their own check says.
  if (!links.ok) return [];
  const { value } = links;
  const present = devsOf(facts.config.routes).filter((dev) =>
    value.some((link) => link.ifname === dev && link.flags.includes("UP"))
  );
  if (present.length === 0) return [];
  const local = new Set(value.flatMap((link) => link.addr_info?.map((info) => info.local) ?? []));
  const problems: Finding[] = [];
  for (const dev of present) {
    const onLink = await facts.ip<ListedRoute>("route", "show", "dev", dev, "scope", "link");
    if (!onLink.ok) {
      problems.push(undetermined(`next_hop:${dev}`, `The neighbours on ${dev}`, onLink));
      continue;
    }
    const hops = new Set(facts.config.routes.filter((r) => r.dev === dev).map(({ via }) => via));
    for (const via of hops) {
      const problem = problemOfHop(via, dev, local, onLink.value);
      if (problem !== null) problems.push(problem);
    }
  }
  return orFine(problems, "next_hop", "Every next hop is a neighbour on its interface");
}

function problemOfHop(
  via: string,
  dev: string,
  local: ReadonlySet<string | undefined>,
  onLink: readonly ListedRoute[],
): Finding | null {
  const id = `next_hop:${via}`;
  const why = 'The kernel refuses such a route ("Nexthop has invalid gateway").';
  if (local.has(via)) {
    return failure(id, `The next hop ${via} is an address of this host`, `${why} Give the peer's.`);
  }
  if (onLink.some(({ dst }) => covers(dst, parseAddress(via)!))) return null;
  return failure(
    id,
    `The next hop ${via} is not on the link of ${dev}`,
    `${why} An address of ${dev} must cover it, or a route must say that it is there.`,
    `ip route add ${via}/32 dev ${quote(dev)} scope link`,
  );
}

/** The interfaces that routes name, each once. */
export function devsOf(routes: readonly RouteConfig[]): string[] {
  return [...new Set(routes.map(({ dev }) => dev))];
}
