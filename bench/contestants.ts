/**
 * Who is measured: livenessd in both its ways of moving packets, BIRD 2's bfd, and the floor, a program
 * that only moves the packets. The reference and FRR's bfdd join when their paths are given.
 */
import { DEV, FAR_ADDRESS, type Lab, NEAR_ADDRESS, peerAddress } from "./lab.ts";

/** What all contestants of one run are asked to keep. */
export interface Load {
  readonly sessions: number;
  readonly intervalMs: number;
  readonly detectMult: number;
  /** Routes of others in the table besides; none unless told. */
  readonly foreignRoutes?: number;
  /** Whether the contestant's threads may use the far side's core as well. */
  readonly bothCores?: boolean;
  /** How often livenessd compares the kernel's table with what it wants; its default unless told. */
  readonly reconcileIntervalMs?: number;
}

/** Paths of the programs that a run needs. */
export interface Programs {
  /** What starts livenessd: its executable, or Deno with the sources. */
  readonly livenessd: readonly string[];
  readonly bird: string;
  readonly floor: string;
  readonly farside: string;
  /** The reference, if given: started as `PATH LOCAL_ADDRESS PORT PEERS INTERVAL_MS NEXT_HOP DEV`. */
  readonly reference: string | null;
  /** The folder of FRR's zebra and bfdd, if given. */
  readonly frr: string | null;
}

/** How to start a contestant that is ready. */
export interface Start {
  readonly argv: string[];
  readonly env?: Record<string, string>;
}

export interface Contestant {
  readonly name: string;
  readonly port: number;
  /** Bytes of a packet. */
  readonly packetBytes: 24 | 40;
  /** True when it keeps a kernel route for each session, which the run then counts. */
  readonly routes: boolean;
  /** Writes its files in the lab's folder and prepares its namespace. */
  prepare(lab: Lab, load: Load, programs: Programs): Promise<Start>;
}

const PROFILE_PORT = 44880;
/** BFD over several hops, RFC 5883. */
const BFD_MULTIHOP_PORT = 4784;

/** The kernel's number for routes of this daemon's protocol, to count them by. */
export const ROUTE_PROTOCOL = "bgp";

export const contestants = {
  livenessd: livenessd("livenessd", {}),
  plain: livenessd("livenessd, unbatched", { LIVENESSD_PLAIN_UDP: "1" }),
  bird: {
    name: "BIRD 2 bfd",
    port: BFD_MULTIHOP_PORT,
    packetBytes: 24,
    routes: false,
    async prepare(lab, load, programs) {
      await routePeers(lab);
      const file = `${lab.directory}/bird.conf`;
      await Deno.writeTextFile(file, birdConfig(load));
      const own = ["-s", `${lab.directory}/bird.ctl`, "-P", `${lab.directory}/bird.pid`];
      return { argv: [programs.bird, "-f", "-c", file, ...own] };
    },
  },
  floor: {
    name: "floor",
    port: PROFILE_PORT,
    packetBytes: 40,
    routes: false,
    async prepare(lab, load, programs) {
      await routePeers(lab);
      return { argv: [programs.floor, ...loadArguments(load)] };
    },
  },
  reference: {
    name: "the reference",
    port: PROFILE_PORT,
    packetBytes: 40,
    routes: false,
    async prepare(lab, load, programs) {
      await routePeers(lab);
      return { argv: [given(programs.reference), ...loadArguments(load), FAR_ADDRESS, DEV] };
    },
  },
  frr: {
    name: "FRR bfdd",
    port: BFD_MULTIHOP_PORT,
    packetBytes: 24,
    routes: false,
    async prepare(lab, load, programs) {
      await routePeers(lab);
      await Deno.chmod(lab.directory, 0o777); // its programs give up root
      const folder = given(programs.frr);
      const own = (name: string) => [
        ...["-i", `${lab.directory}/${name}.pid`, "-z", `${lab.directory}/zserv`],
        ...["--vty_socket", lab.directory],
      ];
      // bfdd learns of interfaces and addresses from zebra, which costs nothing once it has told them.
      lab.startContestant("zebra", [`${folder}/zebra`, ...own("zebra")]);
      await Deno.writeTextFile(`${lab.directory}/bfdd.conf`, frrConfig(load));
      const control = ["--bfdctl", `${lab.directory}/bfdd.sock`];
      const argv = [
        `${folder}/bfdd`,
        "-f",
        `${lab.directory}/bfdd.conf`,
        ...control,
        ...own("bfdd"),
      ];
      return { argv };
    },
  },
} as const satisfies Record<string, Contestant>;

export type ContestantKey = keyof typeof contestants;

/** What the floor and the reference are told, in their order. */
function loadArguments({ sessions, intervalMs }: Load): string[] {
  return [NEAR_ADDRESS, ...[PROFILE_PORT, sessions, intervalMs].map(String)];
}

function livenessd(name: string, env: Record<string, string>): Contestant {
  return {
    name,
    port: PROFILE_PORT,
    packetBytes: 40,
    routes: true,
    async prepare(lab, load, programs) {
      // JSON is YAML. No route leads to the peers: the daemon finds its own way there.
      const file = `${lab.directory}/livenessd.yaml`;
      await Deno.writeTextFile(file, JSON.stringify(livenessdConfig(lab.directory, load)));
      return { argv: [...programs.livenessd, "run", "-c", file], env };
    },
  };
}

/** Where livenessd's API is during a run. */
export function controlSocket(directory: string): string {
  return `${directory}/livenessd.sock`;
}

/** Those without a probe path of their own reach all peers by one route. */
async function routePeers(lab: Lab): Promise<void> {
  await lab.near.ip(`route add 10.1.0.0/16 via ${FAR_ADDRESS}`);
}

function livenessdConfig(directory: string, load: Load) {
  return {
    mode: "active",
    liveness: {
      port: PROFILE_PORT,
      tx_min: `${load.intervalMs}ms`,
      rx_min: `${load.intervalMs}ms`,
      detect_mult: load.detectMult,
    },
    kernel: {
      protocol: ROUTE_PROTOCOL,
      ...load.reconcileIntervalMs && { reconcile_interval: `${load.reconcileIntervalMs}ms` },
    },
    api: { socket: controlSocket(directory) },
    routes: Array.from({ length: load.sessions }, (_, index) => ({
      dst: `${peerAddress(index)}/32`,
      via: FAR_ADDRESS,
      dev: DEV,
      src: NEAR_ADDRESS,
    })),
  };
}

function birdConfig(load: Load): string {
  const neighbors = Array.from(
    { length: load.sessions },
    (_, index) => `  neighbor ${peerAddress(index)} local ${NEAR_ADDRESS} multihop on;`,
  );
  return [
    `router id ${NEAR_ADDRESS};`,
    "log stderr { warning, error, fatal, bug };",
    "protocol device {}",
    "protocol bfd {",
    `  multihop { interval ${load.intervalMs} ms; multiplier ${load.detectMult}; };`,
    ...neighbors,
    "}",
    "",
  ].join("\n");
}

function frrConfig(load: Load): string {
  const peers = Array.from({ length: load.sessions }, (_, index) => [
    ` peer ${peerAddress(index)} multihop local-address ${NEAR_ADDRESS}`,
    `  detect-multiplier ${load.detectMult}`,
    `  receive-interval ${load.intervalMs}`,
    `  transmit-interval ${load.intervalMs}`,
    " exit",
  ]);
  return ["bfd", ...peers.flat(), "exit", ""].join("\n");
}

function given(path: string | null): string {
  if (path === null) throw new Error("a contestant was chosen whose path was not given");
  return path;
}
