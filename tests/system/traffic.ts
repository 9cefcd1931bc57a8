/** What system tests watch while daemons come and go: traffic through the routes, and the routes themselves. */
import type { Host, TwoHosts } from "./harness.ts";
import { eventually, pause } from "./harness.ts";

const STREAM_PORT = 5001;

/** A program of this folder inside a host, and the lines that it prints. */
export class ChildLines implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #done: Promise<void>;

  private constructor(command: Deno.Command) {
    this.#child = command.spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#done = this.#read();
  }

  /** Starts `file`, a Deno program. */
  static start(host: Host, file: string, words: readonly string[]): ChildLines {
    const path = new URL(file, import.meta.url).pathname;
    const options = ["run", "-A", "--no-config", "--unstable-net", path];
    return ChildLines.of(host, [Deno.execPath(), ...options, ...words]);
  }

  static of(host: Host, argv: readonly string[]): ChildLines {
    const streams = { stdin: "piped", stdout: "piped", stderr: "inherit" } as const;
    return new ChildLines(host.namespace.command(argv, streams));
  }

  /** The lines that are records of this kind. */
  records(what: string): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line)).filter((record) => record.what === what);
  }

  /** Sends a line and waits for the answer. */
  // deno-lint-ignore no-explicit-any
  async ask(): Promise<any> {
    const before = this.lines.length;
    await this.#input.write(new TextEncoder().encode("\n"));
    await eventually("an answer", 5_000, () => this.lines.length > before);
    return JSON.parse(this.lines[before]!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#input.close().catch(() => {});
    await this.#child.status;
    await this.#done;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.lines.push(...lines);
    }
  }
}

/** Numbered datagrams both ways between the loopback addresses, 250 a second each. */
export class Stream implements AsyncDisposable {
  private constructor(private readonly ends: readonly [ChildLines, ChildLines]) {}

  static async start(hosts: TwoHosts): Promise<Stream> {
    const end = (host: Host) =>
      ChildLines.start(host, "stream_child.ts", [
        host.address,
        hosts.peerOf(host).address,
        String(STREAM_PORT),
      ]);
    const ends = [end(hosts.a), end(hosts.b)] as const;
    await eventually("the stream", 5_000, () => ends.every(({ lines }) => lines.length > 0));
    // Not before both listen.
    await Promise.all(ends.map((end) => end.ask()));
    return new Stream([...ends]);
  }

  /** Ends the stream: how many were sent and how many of them did not arrive, both ways together. */
  async stop(): Promise<{ sent: number; lost: number }> {
    const sent = (await Promise.all(this.ends.map((end) => end.ask()))).map((said) => said.sent);
    await pause(300); // Those on their way.
    const got = (await Promise.all(this.ends.map((end) => end.ask()))).map((said) => said.received);
    const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
    return { sent: sum(sent), lost: sum(sent) - sum(got) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.ends) await end[Symbol.asyncDispose]();
  }
}

/** What `ip monitor route` says of table main on both hosts from now on. */
export async function watchRoutes(
  hosts: TwoHosts,
): Promise<AsyncDisposable & { lines(): string[] }> {
  const words = ["ip", "monitor", "route"];
  const watches = [ChildLines.of(hosts.a, words), ChildLines.of(hosts.b, words)];
  await pause(200);
  return {
    lines: () =>
      watches.flatMap(({ lines }) =>
        lines.filter((line) => !/ table |^local |^broadcast /.test(line))
      ),
    async [Symbol.asyncDispose]() {
      for (const watch of watches) await watch[Symbol.asyncDispose]();
    },
  };
}
