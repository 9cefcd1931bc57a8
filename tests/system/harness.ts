/**
 * Two hosts, a cable and compiled daemons, for system tests and the demonstration.
 *
 * ```text
 *   host a                                      host b
 *   lo     10.1.0.1                             lo     10.2.0.1
 *   link0  10.0.0.1/30 ──────────────────────── link0  10.0.0.2/30
 * ```
 *
 * Each keeps a route to the other's loopback address, via the other's end of the cable.
 */
import { Daemon, EXECUTABLE } from "./daemon.ts";
import { NetworkNamespace, run } from "./netns.ts";

export const DEV = "link0";
/** Room for a busy machine, added to every bound that follows from the protocol. */
export const SLACK_MS = 1_000;
export const PORT = 44880;

/** What follows from {@linkcode TwoHosts.configOf}: 200 ms × 3, backed off to 1 s at most. */
export const DETECT_MS = 600;
export const RECOVER_MS = 1_100 + 2 * 220;
export const UP_MS = 2_000;
export const RECONCILE_MS = 1_000;

/** One end of the cable. */
export interface Host {
  readonly name: "a" | "b";
  readonly namespace: NetworkNamespace;
  /** Its address on the cable: the other's next hop. */
  readonly link: string;
  /** Its loopback address: what the other keeps a route to. */
  readonly address: string;
}

/** A configuration file's content; see docs/configuration.md. */
export type ConfigFile = Readonly<Record<string, unknown>>;

/** How to start a daemon. */
export interface StartOptions {
  /** Added to its environment. */
  readonly env?: Record<string, string>;
  /** Called with each line of its log as it comes. */
  readonly onLine?: (line: string) => void;
}

/** A route as `ip -j route` lists it. */
export interface ListedRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly protocol?: string;
  readonly prefsrc?: string;
  readonly metric?: number;
}

/** The two hosts. Disposing of them ends their daemons and removes everything. */
export class TwoHosts implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;

  private constructor(
    readonly a: Host,
    readonly b: Host,
    /** A private folder. */
    readonly directory: string,
    stack: AsyncDisposableStack,
  ) {
    this.#stack = stack;
  }

  static async create(label: string): Promise<TwoHosts> {
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "livenessd-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    const a = stack.use(await NetworkNamespace.create(label));
    const b = stack.use(await NetworkNamespace.create(label));
    const hosts = new TwoHosts(
      { name: "a", namespace: a, link: "10.0.0.1", address: "10.1.0.1" },
      { name: "b", namespace: b, link: "10.0.0.2", address: "10.2.0.1" },
      directory,
      stack.move(),
    );
    for (const { namespace, address } of [hosts.a, hosts.b]) {
      // A host that checks the reverse path drops the probes of a peer whose route is withdrawn;
      // namespaces get the setting of the machine that runs this.
      const loose = ["all", "default"].map((of) => `net.ipv4.conf.${of}.rp_filter=0`);
      await namespace.exec(["sysctl", "-qw", ...loose]);
      await namespace.ip(`addr add ${address}/32 dev lo`);
    }
    await hosts.plug();
    return hosts;
  }

  /** Connects the hosts, also after {@linkcode unplug}. */
  async plug(): Promise<void> {
    await this.a.namespace.connect(DEV, this.b.namespace, DEV);
    for (const { namespace, link } of [this.a, this.b]) {
      await namespace.ip(`addr add ${link}/30 dev ${DEV}`);
    }
  }

  /** Deletes the interface at both ends. */
  async unplug(): Promise<void> {
    await this.a.namespace.ip(`link del ${DEV}`);
  }

  /** Silences the path without taking the link down: both hosts drop what arrives for the daemon. */
  async cut(): Promise<void> {
    await Promise.all([deafen(this.a), deafen(this.b)]);
  }

  /** Undoes {@linkcode cut}. */
  async restore(): Promise<void> {
    await Promise.all([hear(this.a), hear(this.b)]);
  }

  /** The other end. */
  peerOf(host: Host): Host {
    return host === this.a ? this.b : this.a;
  }

  /** The route that `host` keeps to its peer, as the configuration file has it. */
  routeOf(host: Host): Readonly<Record<"dst" | "via" | "dev" | "src", string>> {
    const peer = this.peerOf(host);
    return { dst: `${peer.address}/32`, via: peer.link, dev: DEV, src: host.address };
  }

  /** A configuration that suits tests; `changes` replaces whole top-level keys. */
  configOf(host: Host, changes: ConfigFile = {}): ConfigFile {
    return {
      mode: "active",
      liveness: { tx_min: "200ms", rx_min: "200ms", detect_mult: 3, backoff_max: "1s" },
      kernel: { protocol: "bgp", reconcile_interval: "1s", on_shutdown: "withdraw" },
      api: { socket: this.socketOf(host) },
      log: { level: "info", format: "json" },
      routes: [this.routeOf(host)],
      ...changes,
    };
  }

  /** Where the host's daemon listens. */
  socketOf(host: Host): string {
    return `${this.directory}/${host.name}.sock`;
  }

  /** Starts a daemon; its configuration is written as JSON, which is YAML, unless it is a text. */
  async start(
    host: Host,
    config: ConfigFile | string = this.configOf(host),
    options: StartOptions = {},
  ): Promise<Daemon> {
    const file = `${this.directory}/${host.name}.yaml`;
    await Deno.writeTextFile(file, typeof config === "string" ? config : JSON.stringify(config));
    const command = host.namespace.command([EXECUTABLE, "run", "-c", file], {
      env: options.env ?? {},
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
    return this.#stack.use(
      new Daemon(host.namespace, this.socketOf(host), command, options.onLine),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** Routes of a table, by `ip`. */
export async function routes(host: Host, filter = "table main proto bgp"): Promise<ListedRoute[]> {
  // An empty table that nobody made yet is reported as an error.
  const listed = await host.namespace.ip(`-j route show ${filter}`).catch((error: Error) => {
    if (error.message.includes("FIB table does not exist")) return "[]";
    throw error;
  });
  return JSON.parse(listed.trim() || "[]");
}

/** Whether the kernel has the host's route to its peer. */
export async function hasRoute(hosts: TwoHosts, host: Host): Promise<boolean> {
  const { dst, via, src } = hosts.routeOf(host);
  return (await routes(host)).some((route) =>
    `${route.dst}/32` === dst && route.gateway === via && route.prefsrc === src
  );
}

export async function bothInstalled(hosts: TwoHosts): Promise<boolean> {
  return await hasRoute(hosts, hosts.a) && await hasRoute(hosts, hosts.b);
}

/** Starts a daemon on each host and waits until both have their routes. */
export async function bothUp(
  hosts: TwoHosts,
  options: StartOptions = {},
  changes: ConfigFile = {},
): Promise<[Daemon, Daemon]> {
  const { a, b } = hosts;
  const daemons: [Daemon, Daemon] = [
    await hosts.start(a, hosts.configOf(a, changes), options),
    await hosts.start(b, hosts.configOf(b, changes), options),
  ];
  await eventually("both routes installed", UP_MS + SLACK_MS, () => bothInstalled(hosts));
  return daemons;
}

/** Polls until `holds` answers true; how long that took in ms. Throws after `withinMs`. */
export async function eventually(
  what: string,
  withinMs: number,
  holds: () => boolean | Promise<boolean>,
): Promise<number> {
  const begun = performance.now();
  while (!(await holds())) {
    if (performance.now() - begun > withinMs) {
      throw new Error(`not within ${withinMs} ms: ${what}`);
    }
    await pause(20);
  }
  return performance.now() - begun;
}

/** Lets real time pass: for polls, and to see that something keeps holding. */
export function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}

/** Drops what arrives for the daemon of `host`. A drop on the way out would be the sender's error. */
export async function deafen(host: Host): Promise<void> {
  const table = [
    "table ip silence {",
    "  chain arriving {",
    "    type filter hook prerouting priority -300",
    `    udp dport ${PORT} counter drop`,
    "  }",
    "}",
    "",
  ].join("\n");
  await run(["ip", "netns", "exec", host.namespace.name, "nft", "-f", "-"], table);
}

/** Undoes {@linkcode deafen}. */
export async function hear(host: Host): Promise<void> {
  await host.namespace.exec(["nft", "delete table ip silence"]);
}
