import { getColorEnabled } from "@std/fmt/colors";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { readIproute2Names } from "../config/iproute2_names.ts";
import { formatProblem } from "../config/problem.ts";
import { escapeControls } from "../observe/escape.ts";
import { ApiClient, type DaemonCommand } from "./client.ts";
import {
  checkConfig,
  type ConfigArguments,
  DEFAULT_CONFIG,
  loadOrDefaults,
  loadOrRefuse,
  printSchema,
} from "./config_commands.ts";
import { showEvents } from "./events_command.ts";
import { CliError, Exit } from "./exit.ts";
import { type CliIo, OutputClosed } from "./io.ts";
import { addRoute, listRoutes, removeRoute } from "./routes_command.ts";
import { listSessions, setSession } from "./sessions_command.ts";
import { showStatus } from "./status_command.ts";
import { VERSION } from "./version.ts";

const DEFAULT_SOCKET = "/run/livenessd/livenessd.sock";

/** Carries out one command line. Resolves with the exit status; never rejects. */
export async function main(args: readonly string[], io: CliIo): Promise<number> {
  const cli = new Cli(io);
  try {
    await cli.program.parseAsync([...args], { from: "user" });
    return cli.status;
  } catch (error) {
    return await explain(error, io);
  } finally {
    await cli.flush();
  }
}

async function explain(error: unknown, io: CliIo): Promise<number> {
  // `head` has seen enough: a success.
  if (error instanceof OutputClosed) return Exit.done;
  // commander has printed its message already. Help and version were asked for; all else is usage.
  if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.done : Exit.usage;
  if (error instanceof CliError) {
    await io.err(`${error.bare ? "" : "livenessd: "}${escapeLines(error.message)}\n`);
    return error.status;
  }
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  await io.err(`livenessd: ${text}\n`);
  return Exit.failed;
}

/** The command line: which commands there are and what they take. */
class Cli {
  readonly program: Command = new Command("livenessd");
  readonly #io: CliIo;
  // commander prints synchronously; what it prints goes out at the end, in order.
  #printed: Promise<void> = Promise.resolve();
  /** The exit status of a command that ended by itself. */
  status: number = Exit.done;

  constructor(io: CliIo) {
    this.#io = io;
    this.#configure();
    this.#addDaemonCommands();
    this.#addViewCommands();
    this.#addChangeCommands();
  }

  /** Settles when what commander printed is out. */
  flush(): Promise<void> {
    return this.#printed.catch(() => {});
  }

  #configure(): void {
    const print = (write: () => Promise<void>) => {
      this.#printed = this.#printed.then(write, write);
    };
    this.program
      .description("Keeps kernel routes installed only while their peers answer.")
      .option("--socket <path>", `the daemon's control socket (default: ${DEFAULT_SOCKET})`)
      .version(versionLine(), "-V, --version", "print the version")
      .exitOverride()
      .configureOutput({
        writeOut: (text) => print(() => this.#io.out(text)),
        writeErr: (text) => print(() => this.#io.err(text)),
        getOutHelpWidth: () => this.#io.columns ?? 80,
        getErrHelpWidth: () => this.#io.columns ?? 80,
        getOutHasColors: () => this.#io.color,
        getErrHasColors: () => this.#io.color,
        outputError: (text, write) => write(escapeLines(text.replace(/^error: /, "livenessd: "))),
      })
      .showHelpAfterError('(see "livenessd --help")')
      .helpCommand(false);
  }

  #addDaemonCommands(): void {
    this.#addConfigCommand("run", "run the daemon in the foreground")
      .action(async (options) => {
        this.status = await this.#run(this.#configArguments(options));
      });
    this.#addConfigCommand("check", "validate a configuration")
      .action((options) => checkConfig(this.#io, this.#configArguments(options)));
    const doctor = this.#addConfigCommand("doctor", "show what on this host would break the daemon")
      .option("--json", "print a JSON array of findings");
    doctor.action(async (options) => {
      const given = doctor.getOptionValueSource("config") !== "default";
      this.status = await this.#doctor(
        this.#configArguments(options),
        given,
        options.json ?? false,
      );
    });
    this.program.command("schema").description("print the JSON Schema of the configuration file")
      .action(() => printSchema(this.#io));
    this.program.command("version").description("print the version")
      .action(() => this.#io.out(versionLine() + "\n"));
  }

  #addViewCommands(): void {
    const view = (
      name: string,
      description: string,
      show: (client: ApiClient, io: CliIo, json: boolean) => Promise<void>,
    ) =>
      this.program.command(name).description(description)
        .option("--json", "print the API's JSON")
        .action(({ json = false }: { json?: boolean }) =>
          this.#withDaemon((client, io) => show(client, io, json))
        );
    view("status", "show what the daemon does and what went wrong", showStatus);
    view("routes", "list the wanted routes, and why one is not installed", listRoutes);
    this.program.command("sessions [peer]")
      .description("list the sessions, and why one is down; of one PEER with what happened to them")
      .option("--json", "print the API's JSON")
      .action((peer: string | undefined, { json = false }: { json?: boolean }) =>
        this.#withDaemon((client, io) => listSessions(client, io, json, peer))
      );
    this.program.command("events").description("show what happened, oldest first")
      .option("--follow", "go on as it happens, until interrupted")
      .option("--since <seq>", "only what came after event number SEQ", eventNumber, 0)
      .option("--json", "print the API's JSON, an event a line")
      .action(({ follow = false, since, json = false }: EventsArguments) =>
        this.#withDaemon(showEvents({ follow, since, json }))
      );
  }

  #addChangeCommands(): void {
    const session = this.program.command("session")
      .description("take a session administratively down, or up again").helpCommand(false);
    for (const state of ["down", "up"] as const) {
      session.command(state).description(`take the session with PEER ${state}`)
        .argument("<peer>", "address of the peer").argument("[words...]", "dev IF, src IP")
        .usage("PEER [dev IF] [src IP]")
        .action((peer: string, words: string[]) =>
          this.#withDaemon(setSession(state, peer, words))
        );
    }
    const route = this.program.command("route")
      .description("add a wanted route, or remove one, until the daemon ends").helpCommand(false);
    route.command("add").description("want a route; it is installed while its session is up")
      .argument("<dst>", "destination address or prefix")
      .argument("<words...>", "via GW, dev IF, src IP, table T, probe IP, no_uninstall")
      .usage("DST via GW dev IF src IP [table T] [probe IP] [no_uninstall]")
      .action((dst: string, words: string[]) => this.#withDaemon(addRoute(dst, words)));
    route.command("del").description("want a route no longer, and remove it from the kernel")
      .argument("<dst>", "destination address or prefix")
      .argument("[words...]", "via GW, dev IF, src IP, table T; what names one route is enough")
      .usage("DST [via GW] [dev IF] [src IP] [table T]")
      .action((dst: string, words: string[]) => this.#withDaemon(removeRoute(dst, words)));
  }

  #addConfigCommand(name: string, description: string): Command {
    return this.program.command(name).description(description)
      .option("-c, --config <file>", "the configuration", DEFAULT_CONFIG)
      .option(
        "--set <key.path=value>",
        "override a setting; may be repeated",
        (value: string, sofar: string[]) => [...sofar, value],
        [] as string[],
      );
  }

  #configArguments(options: { config: string; set: string[] }): ConfigArguments {
    const socket = this.#socket();
    const overrides = socket === undefined ? options.set : [...options.set, `api.socket=${socket}`];
    return { file: options.config, overrides };
  }

  async #run(given: ConfigArguments): Promise<number> {
    const { config, warnings } = loadOrRefuse(given);
    // The daemon's rooms are loaded only by the command that needs them.
    const { runDaemon } = await import("./run.ts");
    return await runDaemon(config, {
      names: readIproute2Names(),
      warnings: warnings.map(formatProblem),
      color: Deno.stderr.isTerminal() && getColorEnabled(),
    });
  }

  async #doctor(given: ConfigArguments, named: boolean, json: boolean): Promise<number> {
    // One that was asked for must be there; where it usually is there may be none yet.
    const { config, missing } = named
      ? { ...loadOrRefuse(given), missing: false }
      : loadOrDefaults(given);
    const [{ runDoctor }, { realHost }] = await Promise.all([
      import("./doctor_command.ts"),
      import("./doctor/real_host.ts"),
    ]);
    return await runDoctor(this.#io, {
      host: realHost,
      config,
      names: readIproute2Names(),
      missing: missing ? given.file : null,
      json,
    });
  }

  async #withDaemon(use: DaemonCommand): Promise<void> {
    using client = await ApiClient.connect(this.#socket() ?? DEFAULT_SOCKET);
    await use(client, this.#io);
  }

  #socket(): string | undefined {
    return this.program.opts<{ socket?: string }>().socket;
  }
}

interface EventsArguments {
  readonly follow?: boolean;
  readonly since: number;
  readonly json?: boolean;
}

function eventNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be an event's number, 0 for all.");
}

function versionLine(): string {
  return `livenessd ${VERSION} (deno ${Deno.version.deno})`;
}

function escapeLines(text: string): string {
  return text.split("\n").map(escapeControls).join("\n");
}
