/** What goes wrong in a world, when, and for how long: all of it drawn from the seed before it begins. */
import type { RouteConfig } from "../../src/config/config.ts";
import type { KernelErrorCode } from "../../src/kernel/kernel.ts";
import type { KernelFailure, Machine } from "./machine.ts";
import { DEV } from "./machine.ts";
import type { SeededRandom } from "./random.ts";
import type { World } from "./world.ts";

/** The faults that a world knows. A run over many seeds must have met each of them. */
export const FAULT_KINDS = [
  "loss",
  "duplication",
  "reordering",
  "one-way cut",
  "partition",
  "kernel failure",
  "slow kernel",
  "external delete",
  "external replace",
  "stall",
  "crash",
  "restart",
  "address lost",
  "admin down",
  "route withdrawn",
] as const;
export type FaultKind = typeof FAULT_KINDS[number];

/** How many of each kind one world gets, on average. */
const MEAN: Record<FaultKind, number> = {
  "loss": 8,
  "duplication": 3,
  "reordering": 3,
  "one-way cut": 8,
  "partition": 2,
  "kernel failure": 6,
  "slow kernel": 3,
  "external delete": 6,
  "external replace": 4,
  "stall": 5,
  "crash": 5,
  "restart": 3,
  "address lost": 3,
  "admin down": 3,
  "route withdrawn": 5,
};

/** Faults begin and end on this grid, µs, on which the referee looks as well. */
export const GRID_US = 100_000;

/** One thing that goes wrong. */
export interface Fault {
  readonly kind: FaultKind;
  /** µs of simulated time. */
  readonly at: number;
  readonly until: number;
  /** Makes it so; returns how to undo it, or `null` when there was nothing to break. */
  begin(world: World): Undo | null;
}

/** What ends a fault, and what it hit, for the trace. */
export interface Undo {
  readonly what: string;
  end(): void;
}

/** Draws the faults of a world: all begin after `from` and have ended by `until` (µs). */
export function planFaults(random: SeededRandom, from: number, until: number): Fault[] {
  const faults: Fault[] = [];
  for (const kind of FAULT_KINDS) {
    const stream = random.fork(kind);
    for (let left = stream.between(0, 2 * MEAN[kind]); left > 0; left--) {
      const at = onGrid(stream.between(from, until - GRID_US));
      const longest = Math.min(LONGEST[kind] ?? 30e6, until - at);
      // Short ones are more frequent than long ones: many must end before anybody notices.
      const lasts = onGrid(Math.max(GRID_US, longest * stream.fraction() ** 2));
      const own = stream.fork(`${left}`);
      const begin = (world: World) => BEGIN[kind](world, own);
      faults.push({ kind, at, until: at + lasts, begin });
    }
  }
  return faults.sort((a, b) => a.at - b.at);
}

const LONGEST: Partial<Record<FaultKind, number>> = { "stall": 5e6, "slow kernel": 10e6 };

function onGrid(us: number): number {
  return Math.round(us / GRID_US) * GRID_US;
}

type Begin = (world: World, random: SeededRandom) => Undo | null;

const BEGIN: Record<FaultKind, Begin> = {
  "loss": (world, random) => changeLink(world, random, "loss", 0.1 + 0.9 * random.fraction()),
  "duplication": (world, random) => changeLink(world, random, "duplication", random.fraction()),
  "reordering": (world, random) => {
    const { from, to } = pickPair(world, random);
    const link = world.network.link(from, to);
    link.reorderingUs = random.between(5_000, 150_000);
    return changeLink(world, random, "reordering", random.fraction(), { from, to });
  },
  "one-way cut": (world, random) => {
    const { from, to } = pickPair(world, random);
    world.network.link(from, to).cuts++;
    return { what: `${from}>${to}`, end: () => void world.network.link(from, to).cuts-- };
  },
  "partition": partition,
  "kernel failure": (world, random) => {
    const machine = pickMachine(world, random);
    const what = random.pick<KernelFailure>(["replace", "delete", "list", "all"]);
    const code = random.pick<KernelErrorCode>(["busy", "unreachable", "no_device", "other"]);
    return { what: `${machine.index}: ${what} ${code}`, end: machine.failKernel(what, code) };
  },
  "slow kernel": (world, random) => {
    const machine = pickMachine(world, random);
    const usual = machine.kernelLatencyUs;
    if (usual > 1_000) return null;
    machine.kernelLatencyUs = random.between(50_000, 2_000_000);
    const what = `${machine.index}: up to ${machine.kernelLatencyUs} µs`;
    return { what, end: () => void (machine.kernelLatencyUs = usual) };
  },
  "external delete": (world, random) => {
    const machine = pickMachine(world, random);
    const routes = world.daemonRoutes(machine);
    if (routes.length === 0) return null;
    const route = random.pick(routes);
    machine.kernel.remove(route);
    world.referee.disturbed(machine, route);
    return { what: `${machine.index}: ${route.dst} table ${route.table}`, end: () => {} };
  },
  "external replace": (world, random) => {
    const machine = pickMachine(world, random);
    const routes = world.daemonRoutes(machine);
    if (routes.length === 0) return null;
    const route = random.pick(routes);
    machine.kernel.put({ ...route, via: "10.9.9.9", protocol: 4 });
    world.referee.disturbed(machine, route);
    return { what: `${machine.index}: ${route.dst} table ${route.table}`, end: () => {} };
  },
  "stall": (world, random) => {
    const machine = pickMachine(world, random);
    const { process } = machine;
    if (process === null) return null;
    process.stall();
    return { what: `${machine.index}`, end: () => machine.resume(process) };
  },
  "crash": (world, random) => {
    const machine = pickMachine(world, random);
    if (machine.process === null || machine.process.stopping) return null;
    machine.crash();
    const state = random.pick(["kept", "kept", "kept", "lost", "damaged"]);
    if (state === "lost") machine.state.lose();
    if (state === "damaged") machine.state.damage();
    return { what: `${machine.index}: state ${state}`, end: () => machine.start() };
  },
  "restart": (world, random) => {
    const machine = pickMachine(world, random);
    const { process } = machine;
    if (process === null || process.stalled || process.stopping) return null;
    machine.stop();
    world.unsettled();
    return { what: `${machine.index}`, end: () => world.startWhenStopped(machine) };
  },
  "address lost": (world, random) => {
    const machine = pickMachine(world, random);
    if (!machine.hasAddress) return null;
    machine.host.removeAddress(machine.address);
    const end = () => machine.host.addAddress(machine.address, DEV);
    return { what: `${machine.index}: ${machine.address}`, end };
  },
  "admin down": adminDown,
  "route withdrawn": withdrawRoute,
};

/** Machines that get more than their share, so that faults meet each other. */
const VICTIMS = 3;

function pickMachine(world: World, random: SeededRandom): Machine {
  const victims = random.chance(0.5) ? world.machines.slice(0, VICTIMS) : world.machines;
  return random.pick(victims);
}

function pickPair(world: World, random: SeededRandom): { from: number; to: number } {
  const machine = pickMachine(world, random);
  const peer = random.pick(world.peersOf(machine));
  return random.chance(0.5)
    ? { from: machine.index, to: peer.index }
    : { from: peer.index, to: machine.index };
}

function changeLink(
  world: World,
  random: SeededRandom,
  property: "loss" | "duplication" | "reordering",
  value: number,
  { from, to } = pickPair(world, random),
): Undo | null {
  const link = world.network.link(from, to);
  if (link[property] > 0) return null;
  link[property] = value;
  return {
    what: `${from}>${to}: ${Math.round(value * 100)} %`,
    end: () => void (link[property] = 0),
  };
}

/** Some machines cannot reach the others, in either direction. */
function partition(world: World, random: SeededRandom): Undo {
  const inside = new Set<number>();
  for (let left = random.between(1, world.machines.length / 2); left > 0; left--) {
    inside.add(random.pick(world.machines).index);
  }
  const add = (cuts: number) => {
    for (const { index: a } of world.machines) {
      for (const { index: b } of world.machines) {
        if (inside.has(a) !== inside.has(b)) world.network.link(a, b).cuts += cuts;
      }
    }
  };
  add(1);
  return { what: [...inside].join(","), end: () => add(-1) };
}

/** An operator takes a session down and later up again. */
function adminDown(world: World, random: SeededRandom): Undo | null {
  const machine = pickMachine(world, random);
  const peer = random.pick(world.peersOf(machine));
  const session = { dev: DEV, src: machine.address, peer: peer.address };
  const { process } = machine;
  if (process === null || !machine.talksTo(peer.address)) return null;
  process.command(({ manager }) => {
    if (manager.setAdmin(session, "down").ok) process.adminDown.add(peer.address);
  });
  const end = () =>
    process.command(({ manager }) => {
      // The word holds for the session: it is forgotten with its last route.
      if (process.adminDown.delete(peer.address)) manager.setAdmin(session, "up");
    });
  return { what: `${machine.index}: ${peer.address}`, end };
}

/** An operator withdraws a route and later registers it again. */
function withdrawRoute(world: World, random: SeededRandom): Undo | null {
  const machine = pickMachine(world, random);
  const { process } = machine;
  if (machine.routes.length === 0 || process?.stopping) return null;
  const route = random.pick(machine.routes);
  const remove = () => {
    machine.routes = machine.routes.filter((other) => other !== route);
    world.referee.changed(machine, route, false);
  };
  // Without a daemon it is the configuration that changes.
  if (process === null) remove();
  process?.command(({ manager }) => {
    if (!machine.routes.includes(route)) return;
    manager.withdraw(route);
    remove();
    const last = machine.routes.every((other) => other.probe !== route.probe);
    if (last) process.adminDown.delete(route.probe);
  });
  return {
    what: `${machine.index}: ${route.dst} table ${route.table}`,
    end: () => registerAgain(world, machine, route),
  };
}

function registerAgain(world: World, machine: Machine, route: RouteConfig): void {
  const register = () => {
    if (machine.routes.includes(route)) return false;
    machine.routes = [...machine.routes, route];
    world.referee.changed(machine, route, true);
    return true;
  };
  const { process } = machine;
  if (process === null || process.stopping) register();
  else process.command(({ manager }) => void (register() && manager.register(route, "api")));
}
