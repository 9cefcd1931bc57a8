/** A process that watches the kernel of a namespace (kernel_watch_child.ts), and what it saw. */

import { assert } from "@std/assert";
import type { Actor, KernelCounters } from "../../src/kernel/kernel.ts";
import type { KernelRoute } from "../../src/kernel/route.ts";
import { linesOf } from "./lines.ts";
import type { NetworkNamespace } from "./netns.ts";

/** A line that it printed: a change, or the answer to a command. Which fields it has follows from its kind. */
export interface Line extends Readonly<KernelCounters> {
  readonly kind: string;
  readonly route?: KernelRoute;
  readonly replaced: boolean;
  readonly unicast: boolean;
  readonly ifindex: number;
  readonly name: string;
  readonly present: boolean;
  readonly up: boolean;
  readonly adminUp: boolean;
  readonly actor: Actor;
  readonly routeChanges: number;
  /** How many routes were listed, or why none could be. */
  readonly routes: number | string;
}

/** How long a change may take to be told, in ms, before a test gives it up. */
const PATIENCE = 20_000;

export class Watcher implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#lines = linesOf(child.stdout);
    this.#writer = child.stdin.getWriter();
  }

  static async start(namespace: NetworkNamespace, ...args: string[]): Promise<Watcher> {
    const program = new URL("./kernel_watch_child.ts", import.meta.url).pathname;
    const command = namespace.command([Deno.execPath(), "run", "-A", program, ...args], {
      stdin: "piped",
      stdout: "piped",
    });
    const watcher = new Watcher(command.spawn());
    await watcher.until((line) => line.kind === "ready");
    return watcher;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The next line. */
  async next(): Promise<Line> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), PATIENCE);
    const { value, done } = await this.#lines.next();
    clearTimeout(late);
    assert(!done, "the watcher has ended, or was ended because it printed nothing");
    return JSON.parse(value);
  }

  /** The lines up to the first of which `last` holds, that one included. */
  async until(last: (line: Line) => boolean): Promise<Line[]> {
    const lines: Line[] = [];
    for (;;) {
      const line = await this.next();
      lines.push(line);
      if (last(line)) return lines;
    }
  }

  /** The changes that come until the kernel tells of the route `dst`, which an `ip` adds for that. */
  async settled(namespace: NetworkNamespace, dst: string): Promise<Line[]> {
    await namespace.ip(`route add blackhole ${dst}`);
    const lines = await this.until((line) => line.route?.dst === dst);
    return lines.slice(0, -1);
  }

  async command(line: string): Promise<Line> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    return (await this.until(({ kind }) => kind === line.split(" ")[0])).at(-1)!;
  }

  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Ends the process by ending its input; answers its exit status. */
  async end(): Promise<number> {
    await this.#writer.close();
    for await (const _ of this.#lines);
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It ended in order.
    }
    await this.#writer.close().catch(() => {});
    await this.#lines.return(undefined).catch(() => {});
    await this.#child.status;
  }
}
