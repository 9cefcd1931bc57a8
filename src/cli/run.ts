/** `livenessd run`: the daemon over the real seams, until a signal ends it. */
import { giveBackStartMemory } from "../../ffi/start_memory.ts";
import type { Config } from "../config/config.ts";
import { type Iproute2Names } from "../config/iproute2_names.ts";
import { NetlinkKernel } from "../kernel/netlink_kernel.ts";
import { defaultFormat, Logger } from "../observe/log.ts";
import { AsyncSink } from "../observe/stderr_sink.ts";
import { SystemClock } from "../scheduler/system_clock.ts";
import { SystemRandom } from "../scheduler/system_random.ts";
import { ParkedClock } from "../transport/parked_clock.ts";
import { UdpTransport } from "../transport/udp_transport.ts";
import { Daemon } from "./daemon.ts";
import { StateFile } from "./state_file.ts";

export interface RunOptions {
  readonly names: Iproute2Names;
  /** Warnings of the configuration, a sentence each. */
  readonly warnings: readonly string[];
  /** Whether the log may use colour. */
  readonly color: boolean;
}

/** By then the sessions are up, and V8 has let go of what it had in store. */
const SETTLED_MS = 10_000;
/** The kernel may be slow to answer at the end; it is not waited for longer than this. */
const STOP_DEADLINE_MS = 5_000;
/** At a second signal, how long the log may take to be written. */
const LAST_WORDS_MS = 50;
/** The plain receive()/send() path, for hosts where the batched one misbehaves. */
const PLAIN_VARIABLE = "LIVENESSD_PLAIN_UDP";

/** Runs the daemon. Resolves with the exit status: 0 after an orderly end, 1 when it could not start. */
export async function runDaemon(config: Config, options: RunOptions): Promise<number> {
  const clock = new SystemClock();
  const format = config.log.format ?? defaultFormat(Deno.stderr.isTerminal());
  const sink = new AsyncSink(Deno.stderr, (lines) => lossLine(format, lines));
  const logger = new Logger({
    level: config.log.level,
    format,
    color: options.color,
    wall: () => clock.wall(),
    sink,
  });
  for (const warning of options.warnings) logger.warn(warning);
  try {
    return await runUntilSignal(config, options, clock, logger, sink);
  } catch (error) {
    logger.error(error instanceof Error ? error.message : String(error));
    return 1;
  } finally {
    logger.finish();
    await sink.flush();
  }
}

async function runUntilSignal(
  config: Config,
  { names }: RunOptions,
  systemClock: SystemClock,
  logger: Logger,
  sink: AsyncSink,
): Promise<number> {
  const transport = new UdpTransport({
    port: config.liveness.port,
    mark: config.probePath.mark,
    plain: Deno.env.get(PLAIN_VARIABLE) === "1",
  });
  const kernel = NetlinkKernel.open();
  const random = new SystemRandom();
  const clock = new ParkedClock(
    systemClock,
    transport,
    () => kernel.pending === 0 && daemon.idle,
    () => kernel.counters.requests + daemon.events.lastSeq + daemon.manager.loop.stirred,
  );
  const daemon: Daemon = new Daemon(config, {
    clock,
    random,
    transport,
    kernel,
    logger,
    logLinesLost: () => sink.lost,
    names,
    state: config.state.file === null ? null : new StateFile(config.state.file),
  });
  const surviveErrors = surviveInternalErrors(daemon);
  const signals = new Signals(daemon, logger, () => void exitNow(daemon, logger, sink));
  let settled: ReturnType<typeof setTimeout> | undefined;
  try {
    await daemon.start();
    settled = setTimeout(() => void slim(logger), SETTLED_MS);
    await signals.ended;
    return await stopInTime(daemon, logger);
  } finally {
    clearTimeout(settled);
    signals.release();
    surviveErrors.release();
    await daemon.closeServers();
    kernel.close();
    transport.close();
  }
}

async function slim(logger: Logger): Promise<void> {
  try {
    await giveBackStartMemory();
  } catch (error) {
    logger.debug("the memory that only the start needed is kept", { error: String(error) });
  }
}

async function stopInTime(daemon: Daemon, logger: Logger): Promise<number> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) =>
    timer = setTimeout(() => resolve("late"), STOP_DEADLINE_MS)
  );
  const outcome = await Promise.race([daemon.stop(), late]);
  clearTimeout(timer);
  if (outcome !== "late") return 0;
  logger.error("the kernel did not answer in time: routes or the probe rule may be left behind");
  return 1;
}

/** The operator does not want to wait any longer: the log gets a moment, nothing else does. */
async function exitNow(daemon: Daemon, logger: Logger, sink: AsyncSink): Promise<void> {
  logger.error("told to end a second time: routes and the probe rule stay as they are now");
  try {
    daemon.abandon();
    const late = new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS));
    await Promise.race([sink.flush(), late]);
  } finally {
    Deno.exit(1);
  }
}

/**
 * What each signal means. `ended` resolves at the first that asks for the end; at the second, `hurry` is
 * called.
 */
class Signals {
  readonly ended: Promise<void>;
  readonly #handlers: [Deno.Signal, () => void][];

  constructor(daemon: Daemon, logger: Logger, hurry: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    let asked = 0;
    const end = () => ++asked === 1 ? resolve() : hurry();
    this.#handlers = [
      ["SIGTERM", end],
      ["SIGINT", end],
      ["SIGUSR2", () => daemon.logStatus()],
      // Its default action would end the daemon and with it the peers' sessions.
      [
        "SIGHUP",
        () => logger.warn("SIGHUP is ignored: this version cannot reload its configuration"),
      ],
    ];
    for (const [signal, handler] of this.#handlers) Deno.addSignalListener(signal, handler);
  }

  release(): void {
    for (const [signal, handler] of this.#handlers) Deno.removeSignalListener(signal, handler);
  }
}

/** An exception that nothing caught is a defect; ending the daemon for it would be an outage. */
function surviveInternalErrors(daemon: Daemon): { release(): void } {
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    daemon.internalError(event.reason);
  };
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    daemon.internalError(event.error);
  };
  addEventListener("unhandledrejection", onRejection);
  addEventListener("error", onError);
  return {
    release() {
      removeEventListener("unhandledrejection", onRejection);
      removeEventListener("error", onError);
    },
  };
}

function lossLine(format: "json" | "text", lines: number): string {
  const message = `${lines} log lines were lost: nobody read them in time`;
  const record = { level: "warn", message };
  return format === "json" ? `${JSON.stringify(record)}\n` : `warn  ${message}\n`;
}
