/**
 * Network namespaces for system tests: each with a name of its own, removed whatever happens.
 *
 * ```ts
 * await using ns = await NetworkNamespace.create();
 * await ns.ip("link add v0 type dummy");
 * ```
 *
 * A program enters a namespace when it starts, before it opens a socket: {@linkcode
 * NetworkNamespace.command} starts it there.
 */

const prefix = "lvd-";
let made = 0;

/** What a command said and how it ended. */
export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A network namespace that lasts until it is disposed of. */
export class NetworkNamespace implements AsyncDisposable {
  private constructor(readonly name: string) {}

  /** Makes a namespace with its loopback up. The label is a few letters to know it by in `ip netns`. */
  static async create(label = "t"): Promise<NetworkNamespace> {
    const name = `${prefix}${label}-${Deno.pid}-${++made}`;
    await run(["ip", "netns", "add", name]);
    const namespace = new NetworkNamespace(name);
    try {
      await namespace.ip("link set lo up");
    } catch (error) {
      await namespace[Symbol.asyncDispose]();
      throw error;
    }
    return namespace;
  }

  /** A command that runs inside; `spawn` it for a process that outlives the call. */
  command(argv: readonly string[], options: Deno.CommandOptions = {}): Deno.Command {
    return new Deno.Command("ip", { ...options, args: ["netns", "exec", this.name, ...argv] });
  }

  /** Runs a command inside to its end. Throws when it fails, with what it said. */
  exec(argv: readonly string[]): Promise<string> {
    return run(["ip", "netns", "exec", this.name, ...argv]);
  }

  /** `ip -n NAME …`, words separated by blanks. Throws when it fails; answers standard output. */
  ip(words: string): Promise<string> {
    return run(["ip", "-n", this.name, ...words.split(" ")]);
  }

  /** `ip -batch`: one request a line, many at once. Throws when one fails. */
  ipBatch(lines: Iterable<string>): Promise<string> {
    return run(["ip", "-n", this.name, "-batch", "-"], [...lines, ""].join("\n"));
  }

  /** A virtual cable from `dev` here to `peerDev` in `peer`; both ends are up. */
  async connect(dev: string, peer: NetworkNamespace, peerDev: string): Promise<void> {
    await this.ip(`link add ${dev} type veth peer name ${peerDev} netns ${peer.name}`);
    await this.ip(`link set ${dev} up`);
    await peer.ip(`link set ${peerDev} up`);
  }

  /** Ends the processes inside, then removes the namespace. Never throws: it is the way out. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { stdout } = await output(["ip", "netns", "pids", this.name]);
    for (const pid of stdout.split("\n").map(Number).filter((pid) => pid > 0)) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch {
        // It ended by itself between the two calls.
      }
    }
    await output(["ip", "netns", "del", this.name]);
  }
}

/** Runs a command to its end and answers what it printed; throws when it fails. */
export async function run(argv: readonly string[], stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await output(argv, stdin);
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit status ${code}: ${stderr.trim()}`);
  return stdout;
}

/** Runs a command to its end, however that is. */
export async function output(argv: readonly string[], stdin?: string): Promise<Output> {
  const child = new Deno.Command(argv[0], {
    args: argv.slice(1),
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const ended = child.output();
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    // A command that ends early closes its end; its exit status tells the story.
    await writer.write(new TextEncoder().encode(stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await ended;
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}
