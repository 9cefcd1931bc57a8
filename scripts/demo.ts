/**
 * The demonstration: two compiled daemons on the hosts of tests/system/harness.ts, a path that dies and comes
 * back, and a table of what each step took against what it should. Started by scripts/demo.
 */
import { bold, cyan, dim, green, magenta, red, setColorEnabled, yellow } from "@std/fmt/colors";
import Table from "cli-table3";
import { dump } from "js-yaml";
import type { Daemon } from "../tests/system/daemon.ts";
import { describeEvent } from "../src/observe/event_text.ts";
import { DEV, type Host, pause, TwoHosts } from "../tests/system/harness.ts";

const INTERVAL_MS = 300;
const DETECT_MULT = 3;
const BACKOFF_MAX_MS = 1_000;
const RECONCILE_MS = 1_000;

/** What follows from the settings above and spec, plus 0.2 s for a busy machine. */
const MARGIN_MS = 200;
const LONGEST_INTERVAL_MS = 1.1 * INTERVAL_MS; // jitter adds up to 10 %
const should = {
  // The program starts, speaks within 0.1 s, and a handshake takes three packets.
  start: 1_000 + 100 + 3 * LONGEST_INTERVAL_MS + MARGIN_MS,
  detect: DETECT_MULT * INTERVAL_MS + MARGIN_MS,
  // The next probe of a session that is down, and the rest of the handshake.
  recover: 1.1 * BACKOFF_MAX_MS + 2 * LONGEST_INTERVAL_MS + MARGIN_MS,
  repair: RECONCILE_MS + MARGIN_MS,
  // A daemon that stops says so.
  goodbye: 100 + MARGIN_MS,
};

interface Outcome {
  readonly step: string;
  readonly tookMs: number | null;
  readonly shouldMs: number;
}

const terminal = Deno.stdout.isTerminal();
setColorEnabled(terminal && !Deno.env.get("NO_COLOR"));
const interrupted = new AbortController();

/** What is printed: lines that stay, and on a terminal one line below them that moves. */
class Screen {
  #begun = performance.now();
  readonly #paint = { a: cyan, b: magenta };

  restartClock(): void {
    this.#begun = performance.now();
  }

  get elapsedMs(): number {
    return performance.now() - this.#begun;
  }

  line(text = ""): void {
    if (terminal) write("\r\x1b[K");
    write(`${text}\n`);
  }

  /** Something that happened on a host. */
  happened(host: Host, text: string): void {
    const at = dim(`${(this.elapsedMs / 1000).toFixed(3).padStart(7)} s`);
    this.line(`  ${at}  ${this.#paint[host.name](host.name)}  ${text}`);
  }

  /** The moving line. */
  live(text: string): void {
    if (!terminal) return;
    const spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[Math.floor(performance.now() / 80) % 10];
    write(
      `\r\x1b[K  ${yellow(spinner)} ${dim(`${(this.elapsedMs / 1000).toFixed(1)} s`)}  ${text}`,
    );
  }
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

/** The kernel's own word on a host's routes: `ip monitor route`, main table only. */
class RouteMonitor implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  readonly #present = new Set<string>();
  readonly #added = new Map<string, number>();

  constructor(host: Host, changed: (added: boolean, route: string) => void) {
    this.#child = new Deno.Command("ip", {
      args: ["-n", host.namespace.name, "-o", "monitor", "route"],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#reading = this.#read((line) => {
      const [, deleted, route] = /^(Deleted )?(\S+ via .*?)\s*$/.exec(line) ?? [];
      if (route === undefined || / table \S+/.test(route)) return;
      const dst = route.split(" ")[0];
      if (deleted) this.#present.delete(dst);
      else {
        this.#present.add(dst);
        this.#added.set(dst, this.timesAdded(dst) + 1);
      }
      changed(!deleted, route);
    });
  }

  /** How often the route has been added so far. */
  timesAdded(dst: string): number {
    return this.#added.get(dst) ?? 0;
  }

  has(dst: string): boolean {
    return this.#present.has(dst);
  }

  async #read(line: (text: string) => void): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      lines.forEach(line);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill();
    } catch {
      // A Ctrl-C reaches it as well and may have ended it.
    }
    await this.#reading;
    await this.#child.status;
  }
}

/** A step never came to its end; the following ones would show nothing. */
class GivenUp extends Error {}

/** The hosts, what is watched on them, and the steps. */
class Demonstration {
  readonly outcomes: Outcome[] = [];
  readonly #screen = new Screen();
  readonly #monitors: Record<Host["name"], RouteMonitor>;
  readonly #mustRun = new Map<Daemon, Host>();
  #steps = 0;

  constructor(readonly hosts: TwoHosts, stack: AsyncDisposableStack) {
    const monitor = (host: Host) =>
      stack.use(
        new RouteMonitor(host, (added, route) => {
          const sign = added ? green("kernel + ") : red("kernel - ");
          this.#screen.happened(host, bold(sign) + route);
        }),
      );
    this.#monitors = { a: monitor(hosts.a), b: monitor(hosts.b) };
  }

  introduce(): void {
    const { line } = this.#screen;
    const say = line.bind(this.#screen);
    const { a, b } = this.hosts;
    say(bold("livenessd: a route stays in the kernel only while packets pass"));
    say();
    say(`  ${cyan("┌────────┐")}                          ${magenta("┌────────┐")}`);
    say(`  ${cyan("│ host a │")} ${a.link} ━━━━━━ ${b.link} ${magenta("│ host b │")}`);
    say(`  ${cyan("└────────┘")}                          ${magenta("└────────┘")}`);
    say(`   ${a.address}                             ${b.address}`);
    say();
    say(dim(`  The configuration of host a; that of host b is its mirror image:`));
    for (const text of dump(this.config(a)).trimEnd().split("\n")) say(dim(`  │ ${text}`));
  }

  config(host: Host) {
    return this.hosts.configOf(host, {
      liveness: {
        tx_min: `${INTERVAL_MS}ms`,
        rx_min: `${INTERVAL_MS}ms`,
        detect_mult: DETECT_MULT,
        backoff_max: `${BACKOFF_MAX_MS}ms`,
      },
      kernel: {
        protocol: "bgp",
        reconcile_interval: `${RECONCILE_MS}ms`,
        on_shutdown: "withdraw",
      },
    });
  }

  async start(host: Host): Promise<Daemon> {
    const onLine = (line: string) => this.#tell(host, line);
    const daemon = await this.hosts.start(host, dump(this.config(host)), { onLine });
    this.#mustRun.set(daemon, host);
    return daemon;
  }

  stop(daemon: Daemon): void {
    this.#mustRun.delete(daemon);
    daemon.signal("SIGTERM");
  }

  /** Shows what is done, does it, and waits until the routes are as they should be. */
  async step(
    title: string,
    command: string,
    act: () => Promise<unknown>,
    done: () => boolean,
    shouldMs: number,
  ): Promise<void> {
    this.#screen.line();
    this.#screen.line(bold(`${++this.#steps}  ${title}`));
    this.#screen.line(`   ${yellow("$")} ${command}`);
    await breathe(1_000);
    this.#screen.restartClock();
    await act();
    const tookMs = await this.#wait(done, 3 * shouldMs + 2_000);
    this.outcomes.push({ step: title, tookMs, shouldMs });
    if (tookMs === null) throw new GivenUp();
    await breathe(1_500);
  }

  /** True when the hosts' routes are in the kernel. */
  present(...hosts: Host[]): boolean {
    return hosts.every((host) => this.#installed(host));
  }

  absent(...hosts: Host[]): boolean {
    return hosts.every((host) => !this.#installed(host));
  }

  /** How often the host's route has been put into the kernel. */
  timesInstalled(host: Host): number {
    return this.#monitors[host.name].timesAdded(this.hosts.peerOf(host).address);
  }

  #installed(host: Host): boolean {
    return this.#monitors[host.name].has(this.hosts.peerOf(host).address);
  }

  async #wait(done: () => boolean, patienceMs: number): Promise<number | null> {
    while (!done()) {
      interrupted.signal.throwIfAborted();
      if (this.#screen.elapsedMs > patienceMs) return null;
      for (const [daemon, host] of this.#mustRun) {
        if (!daemon.running) throw new Error(`the daemon of host ${host.name} ended`);
      }
      const { a, b } = this.hosts;
      const light = (host: Host) => this.#installed(host) ? green("● route") : red("○ no route");
      this.#screen.live(`a ${light(a)}   b ${light(b)}`);
      await pause(5);
    }
    return this.#screen.elapsedMs;
  }

  /** A line of a daemon's log, for people: only what happens to sessions, and what goes wrong. */
  #tell(host: Host, line: string): void {
    const record = line.startsWith("{") ? JSON.parse(line) : { level: "error", message: line };
    if (record.kind === "session_state") {
      const reason = record.reason ? dim(`  (${record.reason})`) : "";
      const paint = record.to === "up" ? green : record.to === "down" ? red : yellow;
      const peer = record.session?.peer ?? "";
      this.#screen.happened(host, `session ${peer}  ${record.from} → ${paint(record.to)}${reason}`);
    } else if (["route_removed_externally", "route_reinstalled"].includes(record.kind)) {
      this.#screen.happened(host, yellow(describeEvent(record.kind, record)));
    } else if (record.level === "error") {
      this.#screen.happened(host, red(record.message ?? line));
    }
  }
}

/** Time to read, for a person. */
async function breathe(ms: number): Promise<void> {
  for (let waited = 0; terminal && waited < ms; waited += 50) {
    interrupted.signal.throwIfAborted();
    await pause(50);
  }
}

async function perform(show: Demonstration): Promise<void> {
  const { hosts } = show;
  const { a, b } = hosts;
  const route = hosts.routeOf(a);
  let daemon: Daemon | undefined;
  await show.step(
    "Two daemons start, probes pass: the routes come up",
    "livenessd run -c a.yaml     livenessd run -c b.yaml",
    async () => ([daemon] = await Promise.all([show.start(a), show.start(b)])),
    () => show.present(a, b),
    should.start,
  );
  await show.step(
    "The path dies, the link stays up: the routes are withdrawn",
    "nft … udp dport 44880 drop     (on both hosts)",
    () => hosts.cut(),
    () => show.absent(a, b),
    should.detect,
  );
  await show.step(
    "The path is restored: the routes come back",
    "nft delete table …",
    () => hosts.restore(),
    () => show.present(a, b),
    should.recover,
  );
  const before = show.timesInstalled(a);
  await show.step(
    "Somebody deletes a's route by hand: it is put back",
    `ip route del ${route.dst} via ${route.via} dev ${DEV}`,
    () => a.namespace.ip(`route del ${route.dst} via ${route.via} dev ${DEV}`),
    () => show.timesInstalled(a) > before && show.present(a, b),
    should.repair,
  );
  await show.step(
    "a's daemon is stopped and says so: b withdraws without waiting",
    "kill -TERM …     (on_shutdown: withdraw)",
    () => Promise.resolve(show.stop(daemon!)),
    () => show.absent(a, b),
    should.goodbye,
  );
}

/** Prints the table; true when all was in time. */
function conclude(outcomes: readonly Outcome[]): boolean {
  const table = new Table({
    head: ["step", "took", "should", "verdict"],
    colAligns: ["left", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const inTime = ({ tookMs, shouldMs }: Outcome) => tookMs !== null && tookMs <= shouldMs;
  for (const outcome of outcomes) {
    const took = outcome.tookMs === null ? "never" : seconds(outcome.tookMs);
    const verdict = inTime(outcome) ? green("in time") : red("TOO LATE");
    table.push([outcome.step, took, `≤ ${seconds(outcome.shouldMs)}`, verdict]);
  }
  write(`\n${table.toString()}\n`);
  return outcomes.every(inTime);
}

async function main(): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const hosts = stack.use(await TwoHosts.create("demo"));
  const show = new Demonstration(hosts, stack);
  show.introduce();
  try {
    await perform(show);
  } catch (error) {
    if (!(error instanceof GivenUp)) throw error;
  }
  return conclude(show.outcomes);
}

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  Deno.addSignalListener(name, () => interrupted.abort(new Error(`interrupted by ${name}`)));
}
let ok = false;
try {
  ok = await main();
} catch (error) {
  console.error(`\ndemo: ${error instanceof Error ? error.message : error}`);
}
Deno.exit(ok ? 0 : 1);
