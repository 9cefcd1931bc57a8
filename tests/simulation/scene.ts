/** Small worlds for scripted scenarios: daemons with known parameters, and nothing that goes wrong by itself. */
import type { Config, LivenessConfig, RouteConfig } from "../../src/config/config.ts";
import type { Manager } from "../../src/manager/manager.ts";
import type { RouteSnapshot, SessionSnapshot } from "../../src/manager/snapshot.ts";
import { DEV, type Machine } from "./machine.ts";
import { Puppet } from "./puppet.ts";
import { addressOf, World, type WorldOptions } from "./world.ts";

export const MS = 1_000;
export const S = 1_000_000;
/** Delay of every link in these worlds: short against every interval. */
export const DELAY = 1 * MS;
/** TX interval and detect time of these sessions. */
export const TX = 300 * MS;
export const DETECT = 900 * MS;

export interface SceneOptions {
  readonly seed?: number;
  readonly machines?: number;
  /** Machines played by the test. */
  readonly puppets?: readonly number[];
  readonly routes?: (index: number) => RouteConfig[];
  readonly liveness?: Partial<LivenessConfig>;
  readonly config?: Partial<Config>;
  readonly kernel?: Partial<Config["kernel"]>;
  readonly judged?: boolean;
  readonly trace?: (line: string) => void;
}

/** Daemons at 300 ms × 3 with everything at its default and nothing going wrong by itself. */
export function scene(options: SceneOptions = {}): World {
  const { seed = 1, machines = 2, puppets = [], judged = puppets.length === 0 } = options;
  const configure = (drawn: Config): Config => ({
    ...drawn,
    liveness: {
      ...drawn.liveness,
      txMinUs: TX,
      rxMinUs: TX,
      detectMult: 3,
      backoffMaxUs: 60 * S,
      maxEvents: 10_240,
      ...options.liveness,
    },
    kernel: { protocol: 186, reconcileIntervalUs: 30 * S, onShutdown: "keep", ...options.kernel },
    ...options.config,
  });
  const worldOptions: WorldOptions = {
    seed,
    machines,
    faults: [],
    puppets,
    judged,
    configure,
    ...(options.trace === undefined ? {} : { trace: options.trace }),
    routes: options.routes ?? ((index) => [route(index, index === 0 ? 1 : 0)]),
  };
  const world = new World(worldOptions);
  for (const machine of world.machines) machine.kernelIsPrompt = true;
  for (let from = 0; from < machines; from++) {
    for (let to = 0; to < machines; to++) {
      Object.assign(world.network.link(from, to), { delayUs: DELAY, jitterUs: 0 });
    }
  }
  return world;
}

export function route(index: number, peer: number, rest: Partial<RouteConfig> = {}): RouteConfig {
  return {
    dst: `${addressOf(peer)}/32`,
    via: `10.1.0.${peer + 1}`,
    dev: DEV,
    src: addressOf(index),
    table: 254,
    probe: addressOf(peer),
    noUninstall: false,
    ...rest,
  };
}

export function managerOf(machine: Machine): Manager {
  if (machine.process === null) throw new Error(`no daemon runs on machine ${machine.index}`);
  return machine.process.daemon.manager;
}

export function sessionOf(world: World, index = 0): SessionSnapshot {
  const [session] = managerOf(world.machines[index]!).sessions();
  if (session === undefined) throw new Error(`machine ${index} has no session`);
  return session;
}

export function routeOf(world: World, index = 0): RouteSnapshot {
  const [first] = managerOf(world.machines[index]!).routes();
  if (first === undefined) throw new Error(`machine ${index} has no route`);
  return first;
}

/** Lets `us` of simulated time pass. */
export function pass(world: World, us: number): Promise<void> {
  return world.run(world.queue.now + us);
}

/** A world of one daemon whose one peer is played by the test. */
export function withPuppet(
  options: SceneOptions = {},
): { world: World; puppet: Puppet; daemon: Machine } {
  const world = scene({ ...options, puppets: [1] });
  return { world, puppet: new Puppet(world, 1), daemon: world.machines[0]! };
}

/** Cuts both directions between machines 0 and 1, or joins them again. */
export function cut(world: World, cuts: 1 | -1): void {
  world.network.link(0, 1).cuts += cuts;
  world.network.link(1, 0).cuts += cuts;
}
