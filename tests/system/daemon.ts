/** The compiled daemon as a process: its log, its commands, its control socket. */
import type { NetworkNamespace, Output } from "./netns.ts";

/** The executable under test, made by scripts/compile. */
export const EXECUTABLE = new URL("../../dist/livenessd", import.meta.url).pathname;

/** A running daemon and what it said. */
export class Daemon implements AsyncDisposable {
  /** Standard error, line by line, as it came. */
  readonly lines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #finished: Promise<number>;
  #exited = false;

  constructor(
    /** Where it runs. */
    readonly namespace: NetworkNamespace,
    readonly socket: string,
    command: Deno.Command,
    onLine: (line: string) => void = () => {},
  ) {
    this.#child = command.spawn();
    const log = readLines(this.#child.stderr, (line) => {
      this.lines.push(line);
      onLine(line);
    });
    const out = readLines(this.#child.stdout, () => {});
    this.#finished = this.#child.status.then(async ({ code }) => {
      this.#exited = true;
      await Promise.all([log, out]);
      return code;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return !this.#exited;
  }

  /** The exit status, once it has ended and all it wrote is in {@linkcode lines}. */
  get finished(): Promise<number> {
    return this.#finished;
  }

  /** Sends a signal; does nothing when it has ended. */
  signal(name: Deno.Signal): void {
    try {
      this.#child.kill(name);
    } catch {
      // It has ended.
    }
  }

  /** Asks it to stop; the exit status. */
  stop(): Promise<number> {
    this.signal("SIGTERM");
    return this.#finished;
  }

  /** Ends it as the kernel would when memory is short. */
  kill(): Promise<number> {
    this.signal("SIGKILL");
    return this.#finished;
  }

  /** The log's records of one kind; see src/observe/event.ts. */
  events(kind: string): Record<string, unknown>[] {
    return this.lines.flatMap((line) => {
      const record = line.startsWith("{") ? JSON.parse(line) : {};
      return record.kind === kind ? [record] : [];
    });
  }

  /** `livenessd ARGUMENTS` against this daemon's socket, run to its end. */
  async cli(...args: string[]): Promise<Output> {
    return await invoke(this.namespace, "--socket", this.socket, ...args);
  }

  /** What a command answers with `--json`. Throws when it fails. */
  // deno-lint-ignore no-explicit-any
  async json(...args: string[]): Promise<any> {
    const { code, stdout, stderr } = await this.cli(...args, "--json");
    if (code !== 0) throw new Error(`livenessd ${args.join(" ")}: exit status ${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /**
   * The sum of a metric's samples whose labels contain `labels`; 0 when there are none.
   * The name goes without the prefix `doublezero_liveness_`.
   */
  async metric(name: string, labels = ""): Promise<number> {
    const text = await this.get("/metrics");
    return text.split("\n")
      .filter((line) => line.startsWith(`doublezero_liveness_${name}{`) && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  /** The body of `GET path` on the control socket. Throws when the answer is no success. */
  async get(path: string): Promise<string> {
    using client = Deno.createHttpClient({ proxy: { transport: "unix", path: this.socket } });
    const response = await fetch(`http://localhost${path}`, { client });
    const body = await response.text();
    if (!response.ok) throw new Error(`GET ${path}: ${response.status}: ${body}`);
    return body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** Runs the executable to its end inside the namespace. */
export async function invoke(namespace: NetworkNamespace, ...args: string[]): Promise<Output> {
  const command = namespace.command([EXECUTABLE, ...args], {
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

async function readLines(stream: ReadableStream<Uint8Array>, line: (text: string) => void) {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(line);
  }
  if (rest !== "") line(rest);
}
