import { loadConfig } from "../../../../src/config/load.ts";
import { BUILTIN_NAMES } from "../../../../src/config/iproute2_names.ts";
import type { Config } from "../../../../src/config/config.ts";
import { Facts } from "../../../../src/cli/doctor/facts.ts";
import type {
  BindResult,
  CommandResult,
  DaemonAnswer,
  Host,
  LibnlResult,
} from "../../../../src/cli/doctor/host.ts";

/** A host that is what the test says. A command that was not named is not installed. */
export class FakeHost implements Host {
  readonly files: Record<string, string> = {};
  readonly links: Record<string, string> = {};
  /** By command line. A text is standard output of a success. */
  readonly commands: Record<string, string | CommandResult> = {};
  /** Commands that were run. */
  readonly ran: string[] = [];
  bind: (address: string, port: number) => BindResult = () => "bound";
  daemon: DaemonAnswer = { kind: "absent" };
  libnl: LibnlResult = { ok: true, version: "3.7.0" };

  readFile(path: string): string | null {
    return this.files[path] ?? null;
  }

  list(folder: string): readonly string[] {
    const names = Object.keys(this.files).filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1).split("/")[0]!);
    return [...new Set(names)].sort();
  }

  readLink(path: string): string | null {
    return this.links[path] ?? null;
  }

  run(program: string, ...args: string[]): Promise<CommandResult | null> {
    const line = [program, ...args].join(" ");
    this.ran.push(line);
    const answer = this.commands[line];
    return Promise.resolve(
      typeof answer === "string" ? { code: 0, stdout: answer, stderr: "" } : answer ?? null,
    );
  }

  tryBind(address: string, port: number): BindResult {
    return this.bind(address, port);
  }

  daemonAt(): Promise<DaemonAnswer> {
    return Promise.resolve(this.daemon);
  }

  loadLibnl(): LibnlResult {
    return this.libnl;
  }

  /** A process with this name; in another network namespace when one is given. */
  addProcess(pid: number, command: string, namespace?: string): void {
    this.files[`/proc/${pid}/comm`] = `${command}\n`;
    this.links["/proc/self/ns/net"] = "net:[1]";
    this.links[`/proc/${pid}/ns/net`] = namespace ?? "net:[1]";
  }

  /** What `ip -j` answers to these words. */
  ip(words: string, answer: unknown): void {
    const family = words === "addr" ? "" : "-4 ";
    this.commands[`ip -j -N ${family}${words}`] = JSON.stringify(answer);
  }

  facts(config: Config = configOf()): Facts {
    return new Facts(this, config, BUILTIN_NAMES);
  }
}

export const ROUTE = { dst: "10.1.0.1/32", via: "10.0.0.2", dev: "tun0", src: "10.0.0.1" };

/** A configuration as it is loaded; one route through tun0 unless told otherwise. */
export function configOf(given: Readonly<Record<string, unknown>> = {}): Config {
  const text = JSON.stringify({ mode: "active", routes: [ROUTE], ...given });
  const loaded = loadConfig(text, "test.yaml", { names: BUILTIN_NAMES, programVersion: "0.1.0" });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

/** A host on which all is well for {@linkcode ROUTE}. */
export function healthyHost(): FakeHost {
  const host = new FakeHost();
  host.files["/proc/self/status"] = "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n";
  host.files["/proc/sys/kernel/osrelease"] = "6.1.0-18-amd64\n";
  host.files["/proc/1/comm"] = "systemd\n";
  host.files["/proc/self/maps"] = "7f00-7f01 r--p 0 08:01 1 /usr/lib/libnl-3.so.200.26.0\n";
  for (const name of ["all", "default", "lo", "tun0"]) {
    host.files[`/proc/sys/net/ipv4/conf/${name}/rp_filter`] = "0\n";
    host.files[`/proc/sys/net/ipv4/conf/${name}/forwarding`] = "1\n";
  }
  const clock = "/sys/devices/system/clocksource/clocksource0";
  host.files[`${clock}/current_clocksource`] = "tsc\n";
  host.files[`${clock}/available_clocksource`] = "tsc hpet acpi_pm \n";
  host.ip("rule", RULES);
  host.ip("addr", [TUN0]);
  host.ip("route show dev tun0 scope link", [{ dst: "10.0.0.0/30", protocol: "2" }]);
  host.ip("route show table 44880", []);
  host.ip("route show table all proto 186", []);
  host.ip("route show table 254", [{ dst: "default", gateway: "192.0.2.1", dev: "eth0" }]);
  host.ip("route show table 253", []);
  host.commands["nft -j list ruleset"] = JSON.stringify({ nftables: [{ metainfo: {} }] });
  return host;
}

export const TUN0 = {
  ifname: "tun0",
  flags: ["POINTOPOINT", "UP", "LOWER_UP"],
  mtu: 1476,
  addr_info: [{ family: "inet", local: "10.0.0.1", prefixlen: 30 }],
};

export const RULES = [
  { priority: 0, src: "all", table: "255" },
  { priority: 32766, src: "all", table: "254" },
  { priority: 32767, src: "all", table: "253" },
];
