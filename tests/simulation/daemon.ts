import type { Config } from "../../src/config/config.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import type { HistogramSink } from "../../src/manager/local_end.ts";
import { Manager } from "../../src/manager/manager.ts";
import type { StateStore } from "../../src/manager/state_keeper.ts";
import type { Report } from "../../src/observe/event.ts";
import type { Clock } from "../../src/scheduler/clock.ts";
import type { Random } from "../../src/scheduler/random.ts";
import type { Transport } from "../../src/transport/transport.ts";

/** The four seams, the state file, and where the daemon tells what happened. */
export interface Seams {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly kernel: Kernel;
  readonly random: Random;
  readonly state: StateStore;
  readonly report: Report;
}

/** A daemon without its sockets to the outside: protocol, scheduler, manager and reconciler, all real. */
export interface SimulatedDaemon {
  readonly manager: Manager;
  /** Ends in order; settles when the daemon would exit. */
  stop(): Promise<void>;
}

/** Counts measurements, for a world has no use for their distribution. */
class Tally implements HistogramSink {
  readonly bounds = [];
  readonly counts = [];
  sum = 0;
  observe(seconds: number): void {
    this.sum += seconds;
  }
}

/** Starts a daemon as the command line does, on other seams. */
export function startDaemon(config: Config, seams: Seams): SimulatedDaemon {
  const manager = new Manager({
    mode: config.mode,
    liveness: config.liveness,
    protocol: config.kernel.protocol,
    reconcileIntervalUs: config.kernel.reconcileIntervalUs,
    probePath: config.probePath,
    exclude: config.exclude,
    ...seams,
    histogram: () => new Tally(),
    lag: new Tally(),
  });
  manager.recall();
  for (const route of config.routes) manager.register(route, "config");
  manager.start();
  return { manager, stop: () => manager.stop(config.kernel.onShutdown) };
}
