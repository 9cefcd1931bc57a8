/**
 * Watches the kernels of a world and holds what they contain against what is true of the network.
 *
 * The truth is read from the world itself (links, processes, addresses, kernels), never from a daemon.
 * All faults begin and end on the grid on which the referee looks, so that it misses none.
 */
import type { RouteConfig } from "../../src/config/config.ts";
import type { KernelRoute, Route } from "../../src/kernel/route.ts";
import {
  ADOPTION_RETRY_US,
  detectTimeUs,
  graceUs,
  type RecoveryBounds,
  recoveryBounds,
  UNINSTALL_RETRY_MAX_US,
} from "./bounds.ts";
import type { RouteSnapshot } from "../../src/manager/snapshot.ts";
import type { Machine, Process } from "./machine.ts";
import type { World } from "./world.ts";

/** What a route may outlive the detect time by, µs: the promise of the project. */
const SLACK_US = 1_000_000;
/** A condition that does not hold has not begun. */
const NEVER = Infinity;
/** How long a daemon may take to exit once it was told to, with a kernel that answers, µs. */
const EXIT_US = 15_000_000;
/** A kernel that answers later than this is slow, µs. */
const PROMPT_US = 1_000;

/** An invariant does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What is true between a machine and one of its peers, as the machine sees it. Times in µs. */
class Path {
  /** Since when nothing of the peer can arrive; {@linkcode NEVER} while something can. */
  deafSince = NEVER;
  /** Since when nothing can arrive at the peer, or the peer does not care. */
  muteSince = NEVER;
  /** When datagrams from the peer were last lost, or might have been. */
  lossAt = -Infinity;
  /** When the machine's session last came Up, by its own word. */
  upAt = -Infinity;
  /** When something was last wrong in either direction, or with either process. */
  troubledAt = 0;
  readonly bounds: RecoveryBounds;
  /** Detect times of the machine and of the peer. */
  readonly detect: number;
  readonly peerDetect: number;
  /** How long the machine keeps what a former run left. */
  readonly grace: number;

  constructor(machine: Machine, readonly peer: Machine) {
    this.bounds = recoveryBounds(machine, peer);
    this.detect = detectTimeUs(machine.config.liveness, peer.config.liveness);
    this.grace = graceUs(machine.config.liveness, peer.config.liveness);
    this.peerDetect = detectTimeUs(peer.config.liveness, machine.config.liveness);
  }
}

/** One route of one machine, wanted now or formerly. */
class Watched {
  present = false;
  /** Since when the kernel has had it without a break. */
  presentSince = 0;
  /** When another process last took it away. */
  disturbedAt = -Infinity;
  /** It has not been back since. */
  disturbed = false;
  /** The last process that found it when it started. */
  adoptedBy: Process | null = null;
  wanted = true;
  /** When it was last registered or withdrawn. */
  changedAt: number;

  constructor(readonly route: RouteConfig, readonly path: Path, now: number) {
    this.changedAt = now;
  }
}

/** What one machine is judged by. */
class Charge {
  readonly paths = new Map<Machine, Path>();
  readonly routes: Watched[] = [];
  /** When the kernel was last failing or slow. */
  kernelTroubledAt = -Infinity;
  constructor(readonly machine: Machine) {}
}

export class Referee {
  /** Looks at a route that were made. */
  looks = 0;
  /** Routes that left the kernel while their peer could not be reached, and that came back. */
  withdrawals = 0;
  recoveries = 0;
  /** The longest recovery from a troubled path, as a part of its bound. */
  worstRecovery = 0;
  readonly #charges: Charge[] = [];

  constructor(readonly world: World) {
    for (const machine of world.machines) {
      const charge = new Charge(machine);
      this.#charges.push(charge);
      for (const peer of world.peersOf(machine)) charge.paths.set(peer, new Path(machine, peer));
      for (const route of machine.routes) {
        const path = charge.paths.get(world.machineAt(route.probe))!;
        charge.routes.push(new Watched(route, path, world.queue.now));
      }
    }
  }

  /** Another process changed `there` in the kernel of `machine`. */
  disturbed(machine: Machine, there: KernelRoute): void {
    for (const watched of this.#charges[machine.index]!.routes) {
      if (watched.route.dst !== there.dst || watched.route.table !== there.table) continue;
      watched.disturbedAt = this.world.queue.now;
      watched.present = false;
      watched.disturbed = true;
    }
  }

  /** The kernel gets `there`, which it did not have: between two looks it may have been gone. */
  appeared(machine: Machine, there: Route): void {
    for (const watched of this.#charges[machine.index]!.routes) {
      const { table, dst } = watched.route;
      if (table === there.table && dst === there.dst) watched.presentSince = this.world.queue.now;
    }
  }

  /** The session of `machine` with `peer` came Up. */
  cameUp(machine: Machine, peer: Machine): void {
    const path = this.#charges[machine.index]!.paths.get(peer);
    if (path !== undefined) path.upAt = this.world.queue.now;
  }

  /** An operator withdrew or registered `route`. */
  changed(machine: Machine, route: RouteConfig, wanted: boolean): void {
    for (const watched of this.#charges[machine.index]!.routes) {
      if (watched.route !== route) continue;
      watched.wanted = wanted;
      watched.changedAt = this.world.queue.now;
      // A session may have ended and begun anew between two looks, which troubles the peer as well.
      const { peer } = watched.path;
      watched.path.troubledAt = this.world.queue.now;
      this.#charges[peer.index]!.paths.get(machine)!.troubledAt = this.world.queue.now;
    }
  }

  /** Looks at everything once. Throws a {@linkcode Violation}. */
  look(): void {
    const { now } = this.world.queue;
    for (const charge of this.#charges) {
      for (const path of charge.paths.values()) this.#survey(charge.machine, path, now);
      if (charge.machine.kernelTroubled(PROMPT_US)) charge.kernelTroubledAt = now;
      for (const watched of charge.routes) this.#judge(charge, watched, now);
      this.#judgeBelief(charge);
      this.#judgeExit(charge, now);
    }
  }

  /** At the end, long after the last fault: what each daemon believes is what its kernel holds. */
  finish(): void {
    for (const { machine } of this.#charges) {
      const manager = machine.process?.daemon.manager;
      if (manager === undefined) this.#fail(`machine ${machine.index} runs no daemon`);
      const routes = [...manager.routes()];
      for (const route of routes) {
        const { dst, table, installed, desired } = route;
        const name = `route ${dst} table ${table} on machine ${machine.index}`;
        const holds = machine.holds(
          machine.routes.find((r) => r.dst === dst && r.table === table)!,
        );
        if (installed !== holds) this.#fail(`${name}: installed ${installed}, in kernel ${holds}`);
        if (!desired) this.#fail(`${name} is not desired, session ${route.session_state}`);
      }
      if (routes.length !== machine.routes.length) {
        this.#fail(
          `machine ${machine.index} has ${routes.length} of ${machine.routes.length} routes`,
        );
      }
      this.#compareCounts(machine, routes);
    }
  }

  #compareCounts(machine: Machine, routes: readonly RouteSnapshot[]): void {
    const { manager } = machine.process!.daemon;
    const counts = manager.counts();
    const installed = routes.filter((route) => route.installed).length;
    if (counts.routesInstalled !== installed) {
      this.#fail(
        `machine ${machine.index} counts ${counts.routesInstalled} routes installed of ${installed}`,
      );
    }
    for (const state of ["admin_down", "down", "init", "up"] as const) {
      const there = [...manager.sessions()].filter((session) => session.state === state).length;
      if (counts.sessions[state] === there) continue;
      this.#fail(
        `machine ${machine.index} counts ${counts.sessions[state]} sessions ${state} of ${there}`,
      );
    }
  }

  /** "Installed" is the kernel's word: only another process can make it wrong. */
  #judgeBelief({ machine, routes }: Charge): void {
    if (machine.process === null) return;
    for (const entry of machine.process.daemon.manager.book.wanted()) {
      const watched = entry.believed && routes.find(({ route }) => route === entry.config);
      if (!watched || watched.present || watched.disturbed) continue;
      const name = `route ${entry.config.dst} table ${entry.config.table}`;
      this.#fail(
        `${name} on machine ${machine.index} is called installed and is not in the kernel`,
      );
    }
  }

  /** A daemon that was told to stop exits, if its kernel lets it. */
  #judgeExit({ machine, kernelTroubledAt }: Charge, now: number): void {
    const { process } = machine;
    if (process === null || !process.stopping) return;
    const since = Math.max(process.stopsSince, process.runsSince, kernelTroubledAt);
    if (now <= since + EXIT_US) return;
    this.#fail(`machine ${machine.index} was told to stop at ${seconds(since)} and has not exited`);
  }

  /** Reads the truth about one path. */
  #survey(machine: Machine, path: Path, now: number): void {
    const { peer } = path;
    const { network } = this.world;
    const here = network.link(peer.index, machine.index);
    const there = network.link(machine.index, peer.index);
    const talks = machine.talksTo(peer.address);
    const peerTalks = peer.talksTo(machine.address);
    const attached = machine.hasAddress && peer.hasAddress;
    const deaf = here.cuts > 0 || !peerTalks || !talks || !attached;
    const mute = there.cuts > 0 || !attached;
    path.deafSince = deaf ? Math.min(path.deafSince, now) : NEVER;
    path.muteSince = mute ? Math.min(path.muteSince, now) : NEVER;
    if (deaf || here.loss > 0) path.lossAt = now;
    if (deaf || mute || here.loss > 0 || there.loss > 0) path.troubledAt = now;
  }

  #judge(charge: Charge, watched: Watched, now: number): void {
    this.looks++;
    this.#observe(charge, watched, now);
    if (watched.present) this.#judgePresent(charge, watched, now);
    else this.#judgeMissing(charge, watched, now);
  }

  #observe({ machine, kernelTroubledAt }: Charge, watched: Watched, now: number): void {
    const present = machine.holds(watched.route);
    if (present === watched.present) return;
    watched.present = present;
    const { bounds, troubledAt, deafSince, muteSince } = watched.path;
    if (!present) {
      if (deafSince !== NEVER || muteSince !== NEVER) this.withdrawals++;
      return;
    }
    watched.disturbed = false;
    this.recoveries++;
    if (now <= kernelTroubledAt + bounds.kernel) return;
    if (now <= watched.disturbedAt + bounds.external) return;
    const took = now - Math.max(troubledAt, watched.changedAt);
    this.worstRecovery = Math.max(this.worstRecovery, took / bounds.path);
  }

  /** Invariant (a): nothing stays installed for a peer that cannot be reached, or that nobody wants. */
  #judgePresent({ machine, kernelTroubledAt }: Charge, watched: Watched, now: number): void {
    const { process } = machine;
    if (process === null || process.stopping || watched.route.noUninstall) return;
    const { path } = watched;
    // What a former run left is kept for one grace period, once it could be looked at.
    if (watched.presentSince <= process.startedAt) watched.adoptedBy = process;
    const left = watched.adoptedBy === process;
    const ready = Math.max(
      watched.presentSince,
      process.runsSince,
      process.startedAt,
      kernelTroubledAt + (left ? ADOPTION_RETRY_US : UNINSTALL_RETRY_MAX_US),
    );
    const settled = left ? Math.max(ready, process.startedAt + path.grace - path.detect) : ready;
    const deadline = watched.wanted
      ? Math.min(this.#deafDeadline(path, settled), this.#muteDeadline(path, settled))
      : isForgotten(watched, process)
      ? NEVER
      : Math.max(ready, watched.changedAt) + SLACK_US;
    if (now <= deadline) return;
    const why = watched.wanted ? "unreachable" : "not wanted any more";
    this.#violate(machine, watched, `installed, but its peer is ${why}: too late since`, deadline);
  }

  /** Nothing arrives from the peer: one detect time. */
  #deafDeadline(path: Path, settled: number): number {
    if (path.deafSince === NEVER) return NEVER;
    return Math.max(path.deafSince, settled) + path.detect + SLACK_US;
  }

  /**
   * The peer hears nothing: it detects that, and says so. Where its word may be lost, or is ignored because
   * we came Up less than one detect time ago, our own detection follows: what a peer says that is Down, or
   * does not say, keeps nothing alive.
   */
  #muteDeadline(path: Path, settled: number): number {
    const { process } = path.peer;
    if (path.muteSince === NEVER || path.deafSince !== NEVER || process === null) return NEVER;
    const saysSo = Math.max(path.muteSince, settled, process.runsSince) + path.peerDetect;
    const ignored = path.lossAt >= path.muteSince || path.upAt + path.detect >= path.muteSince;
    return saysSo + (ignored ? path.detect : 0) + SLACK_US;
  }

  /** Invariant (b): nothing is missing for a peer that can be reached both ways. */
  #judgeMissing({ machine, kernelTroubledAt }: Charge, watched: Watched, now: number): void {
    if (!watched.wanted) return;
    const { path, disturbedAt, changedAt } = watched;
    const { bounds } = path;
    const deadline = Math.max(
      Math.max(path.troubledAt, changedAt) + bounds.path,
      kernelTroubledAt + bounds.kernel,
      disturbedAt + bounds.external,
    );
    if (now <= deadline) return;
    this.#violate(machine, watched, "missing, but its peer is reachable: too late since", deadline);
  }

  #violate(machine: Machine, { route }: Watched, what: string, deadline: number): never {
    const name = `route ${route.dst} table ${route.table} on machine ${machine.index}`;
    this.#fail(`${name} is ${what} ${seconds(deadline)}`);
  }

  #fail(what: string): never {
    throw new Violation(`at ${seconds(this.world.queue.now)}: ${what}`);
  }
}

/** The former process should have removed the route, and this one cannot know that it ever was ours. */
function isForgotten({ route, changedAt }: Watched, process: Process): boolean {
  return process.startedAt > changedAt && !process.recalled.has(`${route.table} ${route.dst}`);
}

function seconds(us: number): string {
  return `${(us / 1e6).toFixed(3)} s`;
}
