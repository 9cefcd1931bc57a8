import { type ApiContext, pauseForLoop } from "../../../src/api/context.ts";
import type { Readiness, Status } from "../../../src/api/status.ts";
import type { RouteConfig } from "../../../src/config/config.ts";
import { BUILTIN_NAMES } from "../../../src/config/iproute2_names.ts";
import { parseRoute } from "../../../src/config/parse_route.ts";
import { formatProblem } from "../../../src/config/problem.ts";
import type { ListResult } from "../../../src/kernel/kernel.ts";
import type { KernelRoute } from "../../../src/kernel/route.ts";
import type { Outcome, RouteKeyParts, SessionKeyParts } from "../../../src/manager/manager_api.ts";
import type { RouteSnapshot, SessionSnapshot } from "../../../src/manager/snapshot.ts";
import { EventLog } from "../../../src/observe/event_log.ts";

const SINCE = "2023-11-14T22:13:20.123Z";

export function session(given: Partial<SessionSnapshot> = {}): SessionSnapshot {
  return {
    dev: "tun0",
    src: "10.0.0.1",
    peer: "10.1.0.1",
    state: "up",
    reason: null,
    was_up: true,
    since: SINCE,
    local_discriminator: 1,
    peer_discriminator: 2,
    tx_interval_us: 300_000,
    detect_time_us: 900_000,
    peer_mode: "active",
    peer_client_version: "0.1.0",
    last_rx: SINCE,
    tx_packets: 10,
    rx_packets: 9,
    send_errors: 0,
    send_error: null,
    flaps: 0,
    routes: 1,
    ...given,
  };
}

export function route(given: Partial<RouteSnapshot> = {}): RouteSnapshot {
  return {
    dst: "10.1.0.1/32",
    via: "10.0.0.2",
    dev: "tun0",
    src: "10.0.0.1",
    table: 254,
    probe: "10.1.0.1",
    no_uninstall: false,
    origin: "config",
    desired: true,
    installed: true,
    excluded: false,
    session_state: "up",
    reason: null,
    kernel_error: null,
    installs: 1,
    withdraws: 0,
    reinstalls: 0,
    failures: 0,
    since: SINCE,
    ...given,
  };
}

export function kernelRoute(given: Partial<KernelRoute> = {}): KernelRoute {
  return {
    table: 254,
    dst: "10.1.0.1/32",
    via: "10.0.0.2",
    src: "10.0.0.1",
    ifindex: 3,
    protocol: 186,
    metric: 0,
    ...given,
  };
}

export function status(given: Partial<Status> = {}): Status {
  return {
    version: "0.1.0",
    deno: "2.9.6",
    pid: 42,
    started: SINCE,
    uptime_s: 93_784,
    mode: "active",
    transport: "recvmmsg/sendmmsg",
    sessions: { admin_down: 1, down: 2, init: 0, up: 3 },
    routes: { wanted: 6, installed: 3, refused: 0 },
    failures: [{ name: "route_install_failures", count: 0, meaning: "refused by the kernel" }],
    endpoints: [{ dev: "tun0", src: "10.0.0.1", port: 44880, open: true, reason: null }],
    reconciler: {
      enabled: true,
      interval_us: 30_000_000,
      last_run: SINCE,
      last_took_us: 1_500,
      last_error: null,
      reinstalls: 0,
      failures: 0,
    },
    loop: { mode: "wakeup", lag_max_us: 5_167 },
    ...given,
  };
}

/** A daemon whose every answer is set by the test, and which remembers what it was asked. */
export class FakeDaemon implements ApiContext {
  sessions: SessionSnapshot[] = [];
  routes: RouteSnapshot[] = [];
  kernel: ListResult<Iterable<KernelRoute>> = { ok: true, routes: [] };
  readiness: Readiness = { ready: true };
  statusDocument = status();
  outcome: Outcome = { ok: true };
  exposition: string[] = ["# HELP a b\n# TYPE a gauge\n", "a 1\n"];
  scrapes = 0;
  failure: Error | null = null;
  readonly registered: RouteConfig[] = [];
  readonly withdrawn: RouteKeyParts[] = [];
  readonly admin: (SessionKeyParts & { state: string })[] = [];
  readonly errors: unknown[] = [];
  /** Pauses made so that the loop could run. */
  pauses = 0;

  readonly events = new EventLog({ wall: () => 1_700_000_000_123, write: () => {} });
  readonly status = {
    status: () => {
      if (this.failure !== null) throw this.failure;
      return this.statusDocument;
    },
    readiness: () => this.readiness,
  };
  readonly metrics = { scrape: () => this.#scrape() };
  readonly manager = {
    register: (given: RouteConfig) => {
      if (this.outcome.ok) this.registered.push(given);
      return this.outcome;
    },
    withdraw: (key: RouteKeyParts) => {
      if (this.outcome.ok) this.withdrawn.push(key);
      return Promise.resolve(this.outcome);
    },
    setAdmin: (key: SessionKeyParts, state: "down" | "up") => {
      if (this.outcome.ok) this.admin.push({ ...key, state });
      return this.outcome;
    },
    routes: () => this.routes.values(),
    sessions: () => this.sessions.values(),
  };

  parseRoute(input: unknown): ReturnType<ApiContext["parseRoute"]> {
    const parsed = parseRoute(input, { names: BUILTIN_NAMES });
    return parsed.ok ? parsed : { ok: false, problems: parsed.problems.map(formatProblem) };
  }

  tableNumber(text: string): number | undefined {
    return BUILTIN_NAMES.tables.numberOf(text) ?? (/^\d+$/.test(text) ? Number(text) : undefined);
  }

  kernelRoutes(): Promise<ListResult<Iterable<KernelRoute>>> {
    return Promise.resolve(this.kernel);
  }

  readonly pause = (): Promise<void> => {
    this.pauses++;
    return pauseForLoop();
  };

  onError(error: unknown): void {
    this.errors.push(error);
  }

  async *#scrape(): AsyncGenerator<string, string, void> {
    this.scrapes++;
    yield* this.exposition.slice(0, -1);
    return this.exposition.at(-1)!;
  }
}
