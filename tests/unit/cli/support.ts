/** Command lines carried out in this process, against the real API where they need one. */
import { controlHandler } from "../../../src/api/handler.ts";
import { serveUnix } from "../../../src/api/server.ts";
import { type CliIo, OutputClosed } from "../../../src/cli/io.ts";
import { main } from "../../../src/cli/program.ts";
import type { FakeDaemon } from "../api/fake_daemon.ts";

/** Remembers what a command printed. */
export class Console implements CliIo {
  stdout = "";
  stderr = "";
  columns: number | null = null;
  color = false;
  closed = false;

  out(text: string): Promise<void> {
    if (this.closed) return Promise.reject(new OutputClosed());
    this.stdout += text;
    return Promise.resolve();
  }

  err(text: string): Promise<void> {
    this.stderr += text;
    return Promise.resolve();
  }

  now(): number {
    return Date.parse("2023-11-14T22:13:32.123Z");
  }
}

/** What a command printed and how it ended. */
export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Carries out a command line. */
export async function run(args: string[], given: Partial<Console> = {}): Promise<Run> {
  const console = Object.assign(new Console(), given);
  const status = await main(args, console);
  return { status, stdout: console.stdout, stderr: console.stderr };
}

/** Serves the daemon's API on a real Unix socket while `use` runs commands against it. */
export async function withDaemon(
  daemon: FakeDaemon,
  use: (
    cli: (args: string[], given?: Partial<Console>) => Promise<Run>,
    socket: string,
  ) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync();
  const socket = `${directory}/livenessd.sock`;
  const server = await serveUnix(socket, null, controlHandler(daemon));
  try {
    await use((args, given) => run(["--socket", socket, ...args], given), socket);
  } finally {
    await server.close();
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Gives `use` a file with this text. */
export async function withFile(text: string, use: (path: string) => Promise<void>): Promise<void> {
  const path = Deno.makeTempFileSync({ suffix: ".yaml" });
  try {
    Deno.writeTextFileSync(path, text);
    await use(path);
  } finally {
    Deno.removeSync(path);
  }
}
