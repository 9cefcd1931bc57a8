/** What /proc tells of processes and their netlink sockets. Nothing here throws: processes end any time. */

import { setImmediate } from "node:timers/promises";

/** What is known of a process while it is there, also when it has ended and waits for its parent. */
export interface ProcessFacts {
  readonly pid: number;
  /** Its command name. Processes choose it: control characters are replaced. */
  readonly command: string;
  /** Its systemd unit, or else the path of its control group; `null` for the root group. */
  readonly unit: string | null;
  /** How long ago it started, in ms, to 10 ms. */
  readonly ageMs: number;
}

/** The processes of this machine, as far as this process can see them. */
export interface ProcessTable {
  /** `null` for a process that is not there, and for the kernel's own threads. */
  facts(pid: number): ProcessFacts | null;
  /** The rtnetlink sockets in our network namespace: their inodes by port id. */
  sockets(): Map<number, number>;
  /**
   * Whether the process has a descriptor of the socket; `null` when it does not let us see: looking at
   * other users' processes takes CAP_SYS_PTRACE.
   */
  holds(pid: number, inode: number): boolean | null;
  /**
   * Whether the process could have changed our routes through a socket whose port id is its process id:
   * it has CAP_NET_ADMIN, our network namespace and our pid namespace.
   */
  couldChangeRoutes(pid: number): boolean;
  /**
   * The first process that has a descriptor of each socket, by inode, as far as there is one. All
   * processes are looked through, one per turn of the loop.
   */
  findHolders(inodes: ReadonlySet<number>): Promise<Map<number, number>>;
}

const PF_KTHREAD = 0x00200000;
const CAP_NET_ADMIN = 1n << 12n;
/** USER_HZ: what /proc counts time in, on every architecture that Deno runs on. */
const TICKS_PER_SECOND = 100;
/** Descriptors of one process that are looked at without a pause; a netlink socket is opened early. */
const DESCRIPTORS = 512;

const NETLINK_ROUTE = "0";

/** {@linkcode ProcessTable} over /proc. */
export class ProcFs implements ProcessTable {
  readonly #root: string;

  /** @param root where procfs is mounted */
  constructor(root = "/proc") {
    this.#root = root;
  }

  facts(pid: number): ProcessFacts | null {
    const stat = this.#read(`${pid}/stat`);
    // pid (command) state ppid … : the command may contain anything, also blanks and parentheses.
    const begin = stat.indexOf("(");
    const end = stat.lastIndexOf(")");
    if (begin < 0 || end < begin) return null;
    const fields = stat.slice(end + 2).split(" "); // from field 3, the state, on
    if ((Number(fields[6]) & PF_KTHREAD) !== 0) return null;
    const startedAt = Number(fields[19]) / TICKS_PER_SECOND;
    const upFor = Number(this.#read("uptime").split(" ")[0]);
    return {
      pid,
      command: printable(stat.slice(begin + 1, end)),
      unit: unitOf(this.#read(`${pid}/cgroup`)),
      ageMs: Math.max(0, upFor - startedAt) * 1000,
    };
  }

  sockets(): Map<number, number> {
    const sockets = new Map<number, number>();
    for (const line of this.#read("self/net/netlink").split("\n")) {
      // sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode; port id 0 is the kernel's own
      const [, protocol, port, , , , , , , inode] = line.trim().split(/\s+/);
      if (protocol === NETLINK_ROUTE && port !== "0") sockets.set(Number(port), Number(inode));
    }
    return sockets;
  }

  holds(pid: number, inode: number): boolean | null {
    const wanted = linkTo(inode);
    try {
      for (const link of this.#descriptors(pid)) if (link === wanted) return true;
      return false;
    } catch (error) {
      return error instanceof Deno.errors.PermissionDenied ? null : false;
    }
  }

  couldChangeRoutes(pid: number): boolean {
    const status = this.#read(`${pid}/status`);
    const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status);
    if (effective === null || (BigInt(`0x${effective[1]}`) & CAP_NET_ADMIN) === 0n) return false;
    // A process of a pid namespace below ours has an id there too, and that one is its sockets' port id.
    const ids = /^NSpid:\s*(.*)$/m.exec(status)?.[1].trim().split(/\s+/);
    if (ids === undefined || ids.length !== 1) return false;
    // One that has ended has no namespaces any more, and other users' are not ours to see.
    const namespace = this.#link(`${pid}/ns/net`);
    return namespace === null || namespace === this.#link("self/ns/net");
  }

  async findHolders(inodes: ReadonlySet<number>): Promise<Map<number, number>> {
    const wanted = new Map([...inodes].map((inode) => [linkTo(inode), inode]));
    const holders = new Map<number, number>();
    for (const pid of this.#pids()) {
      try {
        for (const link of this.#descriptors(pid)) {
          const inode = wanted.get(link);
          if (inode !== undefined && !holders.has(inode)) holders.set(inode, pid);
        }
      } catch {
        // It has ended, or does not let us see.
      }
      if (holders.size === wanted.size) break;
      await setImmediate();
    }
    return holders;
  }

  /** What the first descriptors of a process lead to. Throws when it has ended or does not let us see. */
  *#descriptors(pid: number): Generator<string> {
    let looked = 0;
    for (const { name } of Deno.readDirSync(`${this.#root}/${pid}/fd`)) {
      if (looked++ === DESCRIPTORS) return;
      yield this.#link(`${pid}/fd/${name}`) ?? "";
    }
  }

  #pids(): number[] {
    try {
      return [...Deno.readDirSync(this.#root)].map(({ name }) => Number(name)).filter(isFinite);
    } catch {
      return [];
    }
  }

  #read(path: string): string {
    try {
      return Deno.readTextFileSync(`${this.#root}/${path}`);
    } catch {
      return "";
    }
  }

  #link(path: string): string | null {
    try {
      return Deno.readLinkSync(`${this.#root}/${path}`);
    } catch {
      return null;
    }
  }
}

/** Where the descriptor of a socket leads. */
function linkTo(inode: number): string {
  return `socket:[${inode}]`;
}

/** A name that is safe in a log line, whatever the process made of it. */
function printable(name: string): string {
  // deno-lint-ignore no-control-regex
  return name.replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029]/g, "?");
}

/**
 * The systemd unit in /proc/PID/cgroup: the deepest service or scope. Without one, the control group's
 * path; `null` for the root group, which says nothing.
 */
export function unitOf(cgroups: string): string | null {
  // hierarchy:controllers:path; systemd's own hierarchy and version 2's come before the others.
  const lines = cgroups.split("\n").map((line) => /^\d+:([^:]*):(\/.+)$/.exec(line))
    .filter((match) => match !== null);
  const rank = (controllers: string) =>
    controllers === "name=systemd" ? 0 : controllers === "" ? 1 : 2;
  lines.sort((a, b) => rank(a[1]) - rank(b[1]));
  for (const [, , path] of lines) {
    const unit = path.split("/").findLast((part) => /.\.(?:service|scope)$/.test(part));
    if (unit !== undefined) return printable(unit);
  }
  return lines.length === 0 ? null : printable(lines[0][2]);
}
