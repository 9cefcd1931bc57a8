/**
 * The laboratory of one run: two namespaces joined by a veth pair, the light peers (bench/farside.c) in one,
 * the contestant in the other, each on a core of its own. Everything is gone when it is disposed of.
 */
import { NetworkNamespace } from "../tests/system/netns.ts";

/** The contestant's address; all peers talk to it. */
export const NEAR_ADDRESS = "10.0.0.1";
/** The next hop of the peers' addresses. */
export const FAR_ADDRESS = "10.0.0.2";
/** The interface, by the same name on both sides. */
export const DEV = "v0";

const NEAR_CORE = 0;
/** The far side has the other core, if there is one. */
const FAR_CORE = navigator.hardwareConcurrency > 1 ? 1 : 0;
/** `/proc` counts CPU time in hundredths of a second on every architecture that Deno runs on. */
const MS_PER_TICK = 10;

/** Address of peer number `index`, as bench/farside.c has it. */
export function peerAddress(index: number): string {
  return `10.1.${Math.floor(index / 250)}.${index % 250 + 1}`;
}

/** Destination of somebody else's route number `index`. */
function foreignAddress(index: number): string {
  return `20.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
}

/** What the far side reports several times a second. See bench/farside.c. */
export interface FarSample {
  readonly t: number;
  readonly tx: number;
  readonly rx: number;
  readonly up: number;
  readonly remote_up: number;
  readonly downs: number;
  readonly live_downs: number;
  readonly gaps: number;
  readonly short_gaps: number;
  readonly shortest_us: number;
  readonly first_rx_us: number;
  readonly silent_us: number;
  readonly spoke_us: number;
}

/** How the light peers behave. */
export interface PeerOptions {
  readonly sessions: number;
  readonly intervalMs: number;
  readonly port: number;
  /** Bytes of a packet. */
  readonly length: 24 | 40;
  /** Per cent of the peers that no silence includes. */
  readonly talkative?: number;
}

/** A process whose standard error is kept for the case that it fails. */
export class Program {
  readonly #child: Deno.ChildProcess;
  readonly #done: Promise<void>;
  #stderr = "";
  /** The exit status once it has ended. */
  status: Deno.CommandStatus | null = null;

  constructor(readonly name: string, command: Deno.Command, line?: (text: string) => void) {
    this.#child = command.spawn();
    this.#done = Promise.all([
      readLines(this.#child.stdout, line ?? (() => {})),
      readLines(this.#child.stderr, (text) => {
        this.#stderr = `${this.#stderr}${text}\n`.slice(-2000);
      }),
      this.#child.status.then((status) => {
        this.status = status;
      }),
    ]).then(() => {});
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Throws, with its last words, when it has ended. */
  mustRun(): void {
    if (this.status !== null) {
      throw new Error(`${this.name} ended with status ${this.status.code}:\n${this.#stderr}`);
    }
  }

  /** CPU time since its start, user and system, in ms. */
  cpuMs(): number {
    this.mustRun();
    const fields = Deno.readTextFileSync(`/proc/${this.pid}/stat`).replace(/^.*\) /s, "").split(
      " ",
    );
    // Counted from the state, the third field: utime is the 14th, stime the 15th (proc(5)).
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  }

  /** Resident memory in MB. */
  rssMb(): number {
    this.mustRun();
    const kb = /^VmRSS:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${this.pid}/status`));
    return Number(kb?.[1]) / 1024;
  }

  /** Time that its main thread was ready to run and had no CPU, since its start, in ms. */
  waitedMs(): number {
    this.mustRun();
    const text = Deno.readTextFileSync(`/proc/${this.pid}/task/${this.pid}/schedstat`);
    return Number(text.split(" ")[1]) / 1e6;
  }

  /** Sends it a signal. */
  signal(name: Deno.Signal): void {
    this.mustRun();
    this.#child.kill(name);
  }

  /** Ends it: politely, after three seconds by force. */
  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    const force = setTimeout(() => this.#signal("SIGKILL"), 3000);
    await this.#done;
    clearTimeout(force);
  }

  #signal(name: Deno.Signal): void {
    try {
      this.#child.kill(name);
    } catch {
      // It has ended: by itself, or by the Ctrl-C that reaches it too.
    }
  }
}

/** The far side's peers. */
export class FarSide {
  readonly program: Program;
  #latest: FarSample | null = null;
  #waiting: (() => void)[] = [];

  constructor(command: Deno.Command) {
    this.program = new Program("farside", command, (line) => {
      this.#latest = JSON.parse(line);
      this.#waiting.splice(0).forEach((resume) => resume());
    });
  }

  /** The next report. */
  async sample(): Promise<FarSample> {
    const before = this.#latest;
    for (const deadline = performance.now() + 5000; this.#latest === before;) {
      this.program.mustRun();
      if (performance.now() > deadline) throw new Error("farside has gone silent");
      await new Promise<void>((resume) => {
        const timer = setTimeout(resume, 1000);
        this.#waiting.push(() => (clearTimeout(timer), resume()));
      });
    }
    return this.#latest!;
  }
}

/** Two namespaces, a cable, peers' addresses. */
export class Lab implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;

  private constructor(
    readonly near: NetworkNamespace,
    readonly far: NetworkNamespace,
    /** A private folder for the contestant's files. */
    readonly directory: string,
    private readonly nice: number,
    stack: AsyncDisposableStack,
  ) {
    this.#stack = stack;
  }

  /** Makes one. `nice`: scheduling priority of all that runs in it, see nice(1). */
  static async create(nice: number): Promise<Lab> {
    await using stack = new AsyncDisposableStack();
    const directory = await Deno.makeTempDir({ prefix: "livenessd-bench-" });
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    const near = stack.use(await NetworkNamespace.create("near"));
    const far = stack.use(await NetworkNamespace.create("far"));
    for (const side of [near, far]) {
      // Some hosts hand strict reverse path filtering down to new namespaces.
      await side.exec([
        "sysctl",
        "-qw",
        ...["all", "default"].map((of) => `net.ipv4.conf.${of}.rp_filter=0`),
      ]);
    }
    await near.connect(DEV, far, DEV);
    await near.ip(`addr add ${NEAR_ADDRESS}/30 dev ${DEV}`);
    await far.ip(`addr add ${FAR_ADDRESS}/30 dev ${DEV}`);
    await far.ip("route add local 10.1.0.0/16 dev lo");
    return new Lab(near, far, directory, nice, stack.move());
  }

  /** Puts routes of somebody else's into the contestant's main table. */
  async addForeignRoutes(count: number): Promise<void> {
    const lines = Array.from(
      { length: count },
      (_, index) => `route add ${foreignAddress(index)}/32 via ${FAR_ADDRESS} proto static`,
    );
    await this.near.ipBatch(lines);
  }

  /** Starts the peers. */
  startPeers(farside: string, options: PeerOptions): FarSide {
    const argv = Object.entries({
      peers: options.sessions,
      "interval-ms": options.intervalMs,
      port: options.port,
      length: options.length,
      talkative: options.talkative ?? 0,
      dst: NEAR_ADDRESS,
      "report-ms": 100,
    }).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const peers = new FarSide(
      this.far.command(this.#pinned([FAR_CORE], [farside, ...argv]), piped),
    );
    this.#stack.defer(() => peers.program.stop());
    return peers;
  }

  /** Starts the contestant on its core, or something that keeps it company there. */
  startContestant(
    name: string,
    argv: string[],
    env: Record<string, string> = {},
    line?: (text: string) => void,
    bothCores = false,
  ): Program {
    return this.#start(name, bothCores ? [NEAR_CORE, FAR_CORE] : [NEAR_CORE], argv, env, line);
  }

  /** Starts an observer in the contestant's namespace, on the far side's core. */
  startObserver(name: string, argv: string[], line: (text: string) => void): Program {
    return this.#start(name, [FAR_CORE], argv, { TZ: "UTC" }, line);
  }

  #start(
    name: string,
    cores: readonly number[],
    argv: string[],
    env: Record<string, string>,
    line?: (text: string) => void,
  ): Program {
    const command = this.near.command(this.#pinned(cores, argv), { ...piped, env });
    const program = new Program(name, command, line);
    this.#stack.defer(() => program.stop());
    return program;
  }

  #pinned(cores: readonly number[], argv: string[]): string[] {
    return ["nice", "-n", String(this.nice), "taskset", "--cpu-list", cores.join(), ...argv];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

const piped = { stdin: "null", stdout: "piped", stderr: "piped" } as const;

async function readLines(stream: ReadableStream<Uint8Array>, line: (text: string) => void) {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(line);
  }
}
