/**
 * The daemon's wiring: the parts over the four seams, the API over the parts. Real seams come from
 * run.ts; nothing here knows which they are.
 */
import { type ApiContext, pauseForLoop } from "../api/context.ts";
import { controlHandler, type Handler, observingHandler } from "../api/handler.ts";
import { type ApiServer, serveTcp, serveUnix } from "../api/server.ts";
import type { Config } from "../config/config.ts";
import type { Iproute2Names } from "../config/iproute2_names.ts";
import { parseRoute } from "../config/parse_route.ts";
import { formatProblem } from "../config/problem.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { KernelRoute } from "../kernel/route.ts";
import { Manager } from "../manager/manager.ts";
import type { StateStore } from "../manager/state_keeper.ts";
import { EventLog } from "../observe/event_log.ts";
import { HANDLING_BOUNDS, Histogram, WAIT_BOUNDS } from "../observe/histogram.ts";
import type { Logger } from "../observe/log.ts";
import { LoopLag } from "../observe/loop_lag.ts";
import { Metrics } from "../observe/metrics.ts";
import { readProcess } from "../observe/process_metrics.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Random } from "../scheduler/random.ts";
import type { Transport } from "../transport/transport.ts";
import type { FailureSources } from "./failures.ts";
import { registerConfigured } from "../sources/config_source.ts";
import { metricsSource } from "./metrics_adapter.ts";
import { statusSource } from "./status_adapter.ts";
import { VERSION } from "./version.ts";

export interface DaemonSeams {
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly kernel: Kernel;
  readonly logger: Logger;
  readonly logLinesLost: () => number;
  readonly names: Iproute2Names;
  /** Where this run leaves what the next one needs; `null` for nowhere. */
  readonly state: StateStore | null;
}

export class Daemon {
  readonly manager: Manager;
  readonly events: EventLog;
  readonly #config: Config;
  readonly #seams: DaemonSeams;
  readonly #context: ApiContext;
  readonly #servers: ApiServer[] = [];
  #started = false;
  #internalErrors = 0;
  /** Answers of the API that wait for their next slice. */
  #pausing = 0;

  constructor(config: Config, seams: DaemonSeams) {
    const { clock, transport, kernel, logger } = seams;
    const lag = new LoopLag();
    this.#config = config;
    this.#seams = seams;
    this.events = new EventLog({
      wall: () => clock.wall(),
      write: (event) => logger.event(event),
    });
    this.manager = new Manager({
      ...seams,
      mode: config.mode,
      liveness: config.liveness,
      protocol: config.kernel.protocol,
      reconcileIntervalUs: config.kernel.reconcileIntervalUs,
      probePath: config.probePath,
      exclude: config.exclude,
      report: this.events.report,
      histogram: (kind) => new Histogram(kind === "wait" ? WAIT_BOUNDS : HANDLING_BOUNDS),
      lag,
    });
    const failures: FailureSources = {
      manager: this.manager,
      kernel,
      logLinesLost: seams.logLinesLost,
      internalErrors: () => this.#internalErrors,
    };
    const status = statusSource({
      config,
      manager: this.manager,
      transport,
      lag,
      failures,
      wall: () => clock.wall(),
      started: () => this.#started,
    });
    const metrics = new Metrics({
      source: metricsSource(this.manager, kernel, lag, failures),
      peerMetrics: config.metrics.peerMetrics,
      build: { version: VERSION, deno: Deno.version.deno, v8: Deno.version.v8 },
      process: readProcess,
    });
    this.#context = {
      manager: this.manager,
      status,
      events: this.events,
      metrics,
      parseRoute: (input) => this.#parseRoute(input),
      tableNumber: (text) => seams.names.tables.numberOf(text) ?? tableFromDigits(text),
      kernelRoutes: () => this.#kernelRoutes(),
      pause: () => this.#pause(),
      onError: (error) => this.internalError(error),
    };
  }

  /**
   * Opens the API first, so that a second daemon is refused before it touches the kernel; then the
   * probes' way, the routes of the configuration, and the loop.
   *
   * @throws {Error} with a message for the operator, when the API or the metrics cannot be served
   */
  async start(): Promise<void> {
    const { api, metrics, routes } = this.#config;
    this.#servers.push(
      await serveUnix(api.socket, api.group, this.#noticed(controlHandler(this.#context))),
    );
    if (metrics.listen !== null) {
      const { hostname, port } = metrics.listen;
      this.#servers.push(serveTcp(hostname, port, this.#noticed(observingHandler(this.#context))));
    }
    this.#announce();
    // Not before it is certain that this is the only daemon.
    this.manager.recall();
    registerConfigured(routes, this.manager);
    await this.manager.start();
    this.#started = true;
  }

  /** Ends in order; see {@linkcode Manager.stop}. */
  async stop(): Promise<void> {
    const { onShutdown } = this.#config.kernel;
    this.events.report("daemon_stopping", { message: `routes: ${onShutdown}` });
    await this.manager.stop(onShutdown);
    await this.closeServers();
  }

  async closeServers(): Promise<void> {
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
  }

  /** The process is about to end whatever is still under way: leaves no socket behind. */
  abandon(): void {
    for (const server of this.#servers) server.abandon();
  }

  /** Something that nothing caught: logged, counted, survived. */
  internalError(error: unknown): void {
    this.#internalErrors++;
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    this.#seams.logger.error("internal error", { error: text });
  }

  /** Logs what `status` shows in a line (SIGUSR2). */
  logStatus(): void {
    const { status } = this.#context;
    const { sessions, routes, loop } = status.status();
    this.#seams.logger.info("status", {
      up: sessions.up,
      init: sessions.init,
      down: sessions.down,
      admin_down: sessions.admin_down,
      routes_wanted: routes.wanted,
      routes_installed: routes.installed,
      loop_mode: loop.mode,
      loop_lag_max_us: loop.lag_max_us,
    });
  }

  /** True while no answer of the API is between two of its slices. */
  get idle(): boolean {
    return this.#pausing === 0;
  }

  async #pause(): Promise<void> {
    this.#pausing++;
    await pauseForLoop();
    this.#pausing--;
    this.manager.loop.stirred++;
  }

  /** What follows from a request goes on in the runtime before and after it is handled. */
  #noticed(handler: Handler): Handler {
    return async (request) => {
      this.manager.loop.stirred++;
      const response = await handler(request);
      this.manager.loop.stirred++;
      return response;
    };
  }

  #announce(): void {
    const { kernel, api, mode, routes } = this.#config;
    const interval = kernel.reconcileIntervalUs;
    this.#seams.logger.info(`livenessd ${VERSION} starts`, {
      mode,
      transport: this.#seams.transport.mode,
      routes: routes.length,
      reconcile: interval > 0 ? `every ${interval / 1e6} s` : "disabled",
      socket: api.socket,
      metrics: this.#servers[1]?.address ?? "off",
    });
    this.events.report("daemon_started", { message: `version ${VERSION}` });
  }

  #parseRoute(input: unknown): ReturnType<ApiContext["parseRoute"]> {
    const { liveness, probePath } = this.#config;
    const parsed = parseRoute(input, {
      names: this.#seams.names,
      bind: liveness.bind,
      probeTable: probePath.table,
    });
    return parsed.ok ? parsed : { ok: false, problems: parsed.problems.map(formatProblem) };
  }

  async #kernelRoutes(): ReturnType<ApiContext["kernelRoutes"]> {
    const { protocol } = this.#config.kernel;
    const { table } = this.#config.probePath;
    const listed = await this.#seams.kernel.list({ protocol });
    if (!listed.ok) return listed;
    return { ok: true, routes: outside(table, listed.routes) };
  }
}

function* outside(table: number, routes: Iterable<KernelRoute>): Iterable<KernelRoute> {
  for (const route of routes) if (route.table !== table) yield route;
}

function tableFromDigits(text: string): number | undefined {
  const number = Number(text);
  return /^\d+$/.test(text) && number <= 0xffff_ffff ? number : undefined;
}
