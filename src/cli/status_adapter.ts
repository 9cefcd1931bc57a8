import type { Readiness, Status, StatusSource } from "../api/status.ts";
import type { Config } from "../config/config.ts";
import type { LocalEnd } from "../manager/local_end.ts";
import type { Manager } from "../manager/manager.ts";
import type { LoopLag } from "../observe/loop_lag.ts";
import type { Transport } from "../transport/transport.ts";
import { failureCounts, type FailureSources } from "./failures.ts";
import { VERSION } from "./version.ts";

export interface StatusParts {
  readonly config: Config;
  readonly manager: Manager;
  readonly transport: Transport;
  readonly lag: LoopLag;
  readonly failures: FailureSources;
  /** Wall-clock ms. */
  readonly wall: () => number;
  /** True once the routes of the configuration are registered and the loop runs. */
  readonly started: () => boolean;
}

/** What `status` shows, put together from the parts. */
export function statusSource(parts: StatusParts): StatusSource {
  const startedAt = parts.wall();
  return {
    status: () => status(parts, startedAt),
    readiness: () => readiness(parts),
  };
}

function status(parts: StatusParts, startedAt: number): Status {
  const { config, manager, transport, lag } = parts;
  const counts = manager.counts();
  return {
    version: VERSION,
    deno: Deno.version.deno,
    pid: Deno.pid,
    started: new Date(startedAt).toISOString(),
    uptime_s: Math.floor((parts.wall() - startedAt) / 1_000),
    mode: config.mode,
    transport: transport.mode,
    sessions: counts.sessions,
    routes: {
      wanted: counts.routesWanted,
      installed: counts.routesInstalled,
      refused: counts.routesRefused,
    },
    failures: failureCounts(parts.failures),
    endpoints: [...manager.table.ends()].filter((end) => end.sessions.size > 0).map(endpointStatus),
    reconciler: reconcilerStatus(config, manager),
    loop: {
      mode: manager.loop.mode,
      lag_max_us: Math.round(lag.max * 1e6),
    },
  };
}

function endpointStatus({ dev, address, endpoint }: LocalEnd): Status["endpoints"][number] {
  const { port, open, reason } = endpoint;
  return { dev, src: address, port, open, reason };
}

function reconcilerStatus(config: Config, { reconciler, table }: Manager): Status["reconciler"] {
  const { reconcileIntervalUs } = config.kernel;
  let reinstalls = 0;
  for (const end of table.ends()) reinstalls += end.counters.reconcileReinstalls;
  return {
    enabled: reconcileIntervalUs > 0,
    interval_us: reconcileIntervalUs,
    last_run: reconciler.lastRun === null ? null : new Date(reconciler.lastRun).toISOString(),
    last_took_us: reconciler.lastTookUs,
    last_error: reconciler.lastError,
    reinstalls,
    failures: reconciler.failures,
  };
}

function readiness({ started }: StatusParts): Readiness {
  return started() ? { ready: true } : { ready: false, reason: "the daemon is starting" };
}
