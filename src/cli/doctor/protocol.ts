/** Whose routes carry our protocol number: livenessd knows its own by it. */
import type { RouteConfig } from "../../config/config.ts";
import type { Facts, ListedRoute } from "./facts.ts";
import { type Finding, fine, listed, undetermined, warning } from "./finding.ts";

/** A number that no program listed in the kernel, iproute2, FRR or BIRD uses. */
export const OWN_PROTOCOL = 76;

/** The protocol numbers that daemons take for their own, and clear when they start or end. */
const USERS: readonly {
  readonly commands: readonly string[];
  readonly protocols: readonly number[];
}[] = [
  // FRR's zebra installs for all of its daemons.
  {
    commands: ["zebra"],
    protocols: [11, 42, 186, 187, 188, 189, 190, 191, 192, 193, 194, 195, 196, 197, 198],
  },
  { commands: ["bird", "bird6"], protocols: [12] },
  { commands: ["keepalived"], protocols: [18] },
  { commands: ["babeld"], protocols: [42] },
  { commands: ["openr"], protocols: [99] },
];

/** The protocol is ours alone: no daemon that uses it runs here, and no route of it is unknown. */
export async function checkProtocol(facts: Facts): Promise<Finding[]> {
  const { protocol } = facts.config.kernel;
  const name = facts.names.protocols.nameOf(protocol);
  const label = name === undefined ? String(protocol) : `${name} (${protocol})`;
  const users = USERS.filter(({ protocols }) => protocols.includes(protocol));
  const running = facts.running(...users.flatMap(({ commands }) => commands));
  if (!running.ok) return [undetermined("protocol", `Who else uses protocol ${label}`, running)];
  const sharing = running.value;
  if (sharing.length > 0) {
    const who = listed(sharing.map(({ command, pid }) => `${command} (pid ${pid})`));
    return [warning(
      "protocol",
      `Route protocol ${label} is also that of ${who}`,
      `Each takes the other's routes for its own leavings and may remove them. ${advice}`,
    )];
  }
  // A running daemon also has routes that came by its API.
  if (await facts.daemonPid() !== null) return [fine("protocol", allOurs(label))];
  return await checkLeavings(facts, label);
}

async function checkLeavings(facts: Facts, label: string): Promise<Finding[]> {
  const { kernel: { protocol }, routes, probePath } = facts.config;
  const listedRoutes = await facts.ip<ListedRoute>(
    ...["route", "show", "table", "all", "proto", String(protocol)],
  );
  if (!listedRoutes.ok) {
    return [undetermined("protocol", `Whose routes have protocol ${label}`, listedRoutes)];
  }
  const wanted = new Set(routes.map(wantedKey));
  const unknown = listedRoutes.value
    .filter((route) => route.table !== String(probePath.table) && !wanted.has(presentKey(route)));
  if (unknown.length === 0) return [fine("protocol", allOurs(label))];
  const some = listed(unknown.map(({ dst }) => dst), 3);
  return [warning(
    "protocol",
    `${unknown.length} route(s) of protocol ${label} are not in this configuration: ${some}`,
    "The daemon may take them for leavings of a former run of its own and remove them when it starts. If " +
      `they are somebody else's, use another number. ${advice}`,
  )];
}

function allOurs(label: string): string {
  return `Route protocol ${label} is used by nobody else here`;
}

const advice = `Give livenessd a number of its own: set kernel.protocol to ${OWN_PROTOCOL}.`;

function wantedKey({ table, dst }: RouteConfig): string {
  return `${table} ${dst}`;
}

/** `ip` leaves out table main, /32 and the zeros of the default route. */
function presentKey({ table = "254", dst }: ListedRoute): string {
  const prefix = dst === "default" ? "0.0.0.0/0" : dst.includes("/") ? dst : `${dst}/32`;
  return `${table} ${prefix}`;
}
