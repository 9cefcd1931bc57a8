/** Whether the daemon may do what it must: capabilities, libraries, and whose network we look at. */
import type { Facts } from "./facts.ts";
import { failure, type Finding, fine, undetermined, warning } from "./finding.ts";
import { quote } from "./shell.ts";

const CAP_NET_ADMIN = 12n;
const CAP_NET_RAW = 13n;
/** Since Linux 5.7 everybody may bind a socket to an interface. */
const BINDING_IS_FREE = [5, 7] as const;

/** The capabilities of the running daemon; without one, of this process, as if it were to become one. */
export async function checkCapabilities(facts: Facts): Promise<Finding[]> {
  const pid = await facts.daemonPid();
  const status = facts.host.readFile(`/proc/${pid ?? "self"}/status`);
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status ?? "")?.[1];
  if (effective === undefined) {
    const reason = `/proc/${pid ?? "self"}/status does not say`;
    return [undetermined("capabilities", "The capabilities", { ok: false, reason, remedy: null })];
  }
  const who = pid === null ? "This user's process" : `The daemon (pid ${pid})`;
  const has = (capability: bigint) => (BigInt(`0x${effective}`) >> capability & 1n) === 1n;
  const [remedy, how] = wayToGive(status ?? "");
  const findings: Finding[] = [];
  if (!has(CAP_NET_ADMIN)) {
    findings.push(failure(
      "capabilities:net_admin",
      `${who} lacks CAP_NET_ADMIN`,
      `Without it the kernel refuses every change to routes and the probes' firewall mark. ${how}`,
      remedy,
    ));
  }
  if (!has(CAP_NET_RAW) && !bindingIsFree(facts)) {
    findings.push(failure(
      "capabilities:net_raw",
      `${who} lacks CAP_NET_RAW`,
      `This kernel is older than 5.7 and binds sockets to an interface only with it. ${how}`,
      remedy,
    ));
  }
  if (findings.length > 0) return findings;
  const raw = has(CAP_NET_RAW) ? " and CAP_NET_RAW" : "; this kernel does without CAP_NET_RAW";
  return [fine("capabilities", `${who} has CAP_NET_ADMIN${raw}`)];
}

/** How to give the capabilities depends on who lacks them. */
function wayToGive(status: string): [remedy: string | null, how: string] {
  if (/^Uid:\s+\d+\s+0\s/m.test(status)) {
    return [
      null,
      "It runs as root, so a container or unit took it away: start the container with --cap-add=NET_ADMIN " +
      "--cap-add=NET_RAW, or name both in CapabilityBoundingSet= of the unit.",
    ];
  }
  return [
    'setcap cap_net_admin,cap_net_raw+ep "$(command -v livenessd)"',
    "Run it as root or by its systemd unit, or give the executable the capabilities.",
  ];
}

function bindingIsFree({ host }: Facts): boolean {
  const release = host.readFile("/proc/sys/kernel/osrelease") ?? "";
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const [needMajor, needMinor] = BINDING_IS_FREE;
  return Number(major) > needMajor ||
    (Number(major) === needMajor && Number(minor) >= needMinor);
}

/** libnl, loaded as the daemon does; which version, from which files. */
export function checkLibnl({ host }: Facts): Finding[] {
  const loaded = host.loadLibnl();
  if (!loaded.ok) {
    return [failure(
      "libnl",
      "libnl cannot be loaded",
      `The daemon speaks to the kernel through it and does not start without. ${loaded.reason}`,
      "apt install libnl-3-200 libnl-route-3-200",
    )];
  }
  const maps = host.readFile("/proc/self/maps") ?? "";
  const paths = new Set(maps.match(/\/\S*\/libnl-(?:route-)?3\.so\S*/g) ?? []);
  const where = paths.size === 0 ? "" : `: ${[...paths].sort().join(", ")}`;
  return [fine("libnl", `libnl ${loaded.version} is loaded${where}`)];
}

/** All other findings are about this network namespace: is it the daemon's? */
export async function checkNamespace(facts: Facts): Promise<Finding[]> {
  const pid = await facts.daemonPid();
  if (pid === null || facts.sharesNetwork(pid)) return [];
  const socket = quote(facts.config.api.socket);
  return [warning(
    "network_namespace",
    `The daemon (pid ${pid}) runs in another network namespace than this command`,
    "What follows is about the interfaces, routes and firewall of this namespace, not of the daemon's.",
    `nsenter --net=/proc/${pid}/ns/net livenessd --socket ${socket} doctor`,
  )];
}
