/** Whether the daemon's sockets are free to be made, or in use by the daemon itself. */
import { quote } from "./shell.ts";
import type { Facts } from "./facts.ts";
import { failure, type Finding, fine, orFine, warning } from "./finding.ts";

/** The control socket: free, or a daemon answers. */
export async function checkControlSocket(facts: Facts): Promise<Finding[]> {
  const { socket, group } = facts.config.api;
  const id = "control_socket";
  const answer = await facts.daemon();
  switch (answer.kind) {
    case "answers":
      return [fine(id, `livenessd ${answer.version} (pid ${answer.pid}) answers at ${socket}`)];
    case "denied":
      return [warning(
        id,
        `This user may not use ${socket}`,
        "Whether a daemon answers there could not be determined. Ask as root or as a member of its group.",
        "sudo livenessd doctor",
      )];
    case "not_a_socket":
      return [failure(
        id,
        `${socket} exists and is not a socket`,
        "The daemon does not start: it never replaces a file that is not its own.",
        `mv ${quote(socket)} ${quote(`${socket}.away`)}`,
      )];
    case "silent":
      return [failure(
        id,
        `Somebody serves ${socket} and does not answer as livenessd does`,
        `No second daemon starts there, and no command reaches the first (${answer.reason}).`,
        `ss -xlp src ${quote(socket)}`,
      )];
    case "absent":
    case "stale":
      return groupIsMissing(facts)
        ? [missingGroup(group!)]
        : [fine(id, freeWords(answer.kind, socket))];
  }
}

function freeWords(kind: "absent" | "stale", socket: string): string {
  return kind === "absent"
    ? `${socket} is free; no daemon runs there`
    : `${socket} is left from a daemon that ended; the next one replaces it`;
}

function groupIsMissing({ host, config: { api: { group } } }: Facts): boolean {
  if (group === null || /^\d+$/.test(group)) return false;
  const groups = host.readFile("/etc/group");
  return groups !== null && !groups.split("\n").some((line) => line.startsWith(`${group}:`));
}

function missingGroup(group: string): Finding {
  return failure(
    "control_socket:group",
    `There is no group ${group}, which api.group names`,
    "The daemon does not start: nobody could own its control socket.",
    `groupadd --system ${quote(group)}`,
  );
}

/** The UDP port on each local address: free, or the daemon's. */
export async function checkPort(facts: Facts): Promise<Finding[]> {
  const { liveness: { port, bind }, routes } = facts.config;
  const addresses = [...new Set(routes.map(({ src }) => src))];
  const problems: Finding[] = [];
  const ours = await facts.daemonPid();
  for (const address of addresses.length > 0 ? addresses : [bind]) {
    const result = facts.host.tryBind(address, port);
    // An address that is not there is the interfaces' check's to say.
    if (result === "bound" || result === "not_local") continue;
    if (result !== "in_use") {
      problems.push(failure(
        `udp_port:${address}`,
        `UDP port ${port} of ${address} cannot be bound: ${result.refused}`,
        "Sessions with this local address stay down.",
      ));
      continue;
    }
    const holder = await holderOf(facts, address, port);
    if (holder !== null && holder.pid === ours) continue;
    problems.push(taken(address, port, holder));
  }
  const state = ours === null ? "is free" : "is free or the daemon's";
  return orFine(problems, "udp_port", `UDP port ${port} ${state} on every local address`);
}

interface Holder {
  readonly command: string;
  readonly pid: number;
}

function taken(address: string, port: number, holder: Holder | null): Finding {
  const who = holder === null
    ? "a process that could not be named"
    : `${holder.command} (pid ${holder.pid})`;
  return failure(
    `udp_port:${address}`,
    `UDP port ${port} of ${address} is in use by ${who}`,
    "Sessions with this local address stay down until the port is free.",
    holder === null ? `ss -Hlnup 'sport = :${port}'` : `kill ${holder.pid}`,
  );
}

/** Who holds the port, by ss(8). */
async function holderOf({ host }: Facts, address: string, port: number): Promise<Holder | null> {
  const result = await host.run("ss", "-Hlnup", `sport = :${port}`);
  for (const line of result?.stdout.split("\n") ?? []) {
    const [, , , local = ""] = line.split(/\s+/);
    const held = local.slice(0, local.lastIndexOf(":")).replace(/%.*$/, "");
    if (![address, "0.0.0.0", "*", "[::]"].includes(held) && address !== "0.0.0.0") continue;
    const [, command, pid] = /users:\(\("((?:[^"\\]|\\.)*)",pid=(\d+)/.exec(line) ?? [];
    if (command !== undefined) return { command, pid: Number(pid) };
  }
  return null;
}
