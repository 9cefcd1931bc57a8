import type { Config } from "../../config/config.ts";
import type { Iproute2Names } from "../../config/iproute2_names.ts";
import type { Answer } from "./finding.ts";
import type { DaemonAnswer, Host } from "./host.ts";

/** A process in our network namespace. */
export interface Process {
  readonly pid: number;
  /** The kernel's name for it: the first 15 bytes of the program's. */
  readonly command: string;
}

/** What `ip -j -N rule` says of a rule, as far as we look. */
export interface Rule {
  readonly priority: number;
  readonly table?: string;
  readonly fwmark?: string;
  readonly fwmask?: string;
  readonly not?: null;
  readonly l3mdev?: null;
  readonly suppress_prefixlen?: number;
  readonly action?: string;
  readonly src?: string;
  readonly srclen?: number;
  readonly dst?: string;
  readonly dstlen?: number;
  readonly [selector: string]: unknown;
}

/** What `ip -j addr` says of an interface, as far as we look. */
export interface Link {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly addr_info?: readonly {
    readonly family?: string;
    readonly local?: string;
    readonly address?: string;
    readonly prefixlen?: number;
  }[];
}

/** What `ip -j -N route` says of a route, as far as we look. */
export interface ListedRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly table?: string;
  readonly protocol?: string;
  /** Absent for unicast. */
  readonly type?: string;
  readonly nexthops?: readonly { readonly dev?: string }[];
}

/** Facts that several checks need, asked for once. */
export class Facts {
  readonly host: Host;
  readonly config: Config;
  readonly names: Iproute2Names;
  readonly #asked = new Map<string, Promise<Answer<unknown>>>();
  #processes: readonly Process[] | null = null;
  #daemon: Promise<DaemonAnswer> | null = null;

  constructor(host: Host, config: Config, names: Iproute2Names) {
    this.host = host;
    this.config = config;
    this.names = names;
  }

  /** Who answers at the control socket. */
  daemon(): Promise<DaemonAnswer> {
    return this.#daemon ??= this.host.daemonAt(this.config.api.socket);
  }

  /** The process id of the daemon that runs; `null` when none answers. */
  async daemonPid(): Promise<number | null> {
    const answer = await this.daemon();
    return answer.kind === "answers" ? answer.pid : null;
  }

  /** Whether a process is in our network namespace; true when that cannot be told. */
  sharesNetwork(pid: number): boolean {
    const ours = this.host.readLink("/proc/self/ns/net");
    const theirs = this.host.readLink(`/proc/${pid}/ns/net`);
    return ours === null || theirs === null || ours === theirs;
  }

  /** The processes of these names; unknown where /proc hides those of others (hidepid). */
  running(...commands: string[]): Answer<readonly Process[]> {
    this.#processes ??= this.#listProcesses();
    if (!this.#processes.some(({ pid }) => pid === 1)) {
      const reason = "The processes of others cannot be seen here; ask as root.";
      return { ok: false, reason, remedy: "sudo livenessd doctor" };
    }
    const value = this.#processes.filter(({ pid, command }) =>
      commands.includes(command) && this.sharesNetwork(pid)
    );
    return { ok: true, value };
  }

  /** The rules that choose tables. */
  rules(): Promise<Answer<Rule[]>> {
    return this.ip<Rule>("rule");
  }

  /** The interfaces with their addresses. */
  links(): Promise<Answer<Link[]>> {
    return this.ip<Link>("addr");
  }

  /** What `ip -j -N -4 …` lists; tables that do not exist are empty. */
  ip<T>(...words: string[]): Promise<Answer<T[]>> {
    const key = words.join(" ");
    let answer = this.#asked.get(key);
    if (answer === undefined) this.#asked.set(key, answer = this.#askIp(words));
    return answer as Promise<Answer<T[]>>;
  }

  async #askIp(words: readonly string[]): Promise<Answer<unknown>> {
    // Without -4 for addresses: it would hide interfaces that have none.
    const family = words[0] === "addr" ? [] : ["-4"];
    const result = await this.host.run("ip", "-j", "-N", ...family, ...words);
    if (result === null) {
      return { ok: false, reason: "ip is not installed", remedy: "apt install iproute2" };
    }
    if (result.stderr.includes("FIB table does not exist")) return { ok: true, value: [] };
    if (result.code !== 0) {
      return {
        ok: false,
        reason: `ip ${words.join(" ")}: ${firstLine(result.stderr)}`,
        remedy: null,
      };
    }
    return parseJson(result.stdout.trim() || "[]", "ip");
  }

  #listProcesses(): Process[] {
    return this.host.list("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
      const command = this.host.readFile(`/proc/${name}/comm`)?.trimEnd();
      const pid = Number(name);
      return command === undefined ? [] : [{ pid, command }];
    });
  }
}

/** A program's JSON; one that cannot be read is an unknown fact. */
export function parseJson<T>(text: string, program: string): Answer<T> {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    const shown = JSON.stringify(text.slice(0, 60));
    return { ok: false, reason: `${program} did not answer in JSON but ${shown}`, remedy: null };
  }
}

/** The first line of what a program said. */
export function firstLine(text: string): string {
  return text.trim().split("\n")[0] || "it failed without a word";
}
