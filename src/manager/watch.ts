/**
 * The manager's eye on the kernel: what others change is seen at once and mended.
 *
 * A wanted route that somebody removes or replaces is put back immediately. Whatever may have changed
 * without being told one by one (a link or address that went takes its routes along silently; a full
 * socket loses notifications) is followed by a sweep, soon and not too often.
 */
import type {
  Actor,
  AddressChange,
  KernelChange,
  LinkChange,
  RouteChange,
} from "../kernel/change.ts";
import type { Kernel, MarkRule } from "../kernel/kernel.ts";
import { routeIdentity } from "../kernel/route.ts";
import type { EventActor, Report } from "../observe/event.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Loop } from "../scheduler/loop.ts";
import { Throttle } from "../scheduler/throttle.ts";
import type { TimerWheel } from "../scheduler/timer_wheel.ts";
import { type Counter, counter } from "./local_end.ts";
import type { RouteBook } from "./route_book.ts";

export interface WatchOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  readonly book: RouteBook;
  /** Route protocol number that is ours. */
  readonly protocol: number;
  /** The rule that leads marked probes to the table of probe routes. */
  readonly rule: MarkRule;
  /** Looks at every endpoint: opens, closes, notices links that came back. */
  readonly maintain: () => void;
  /** Compares the kernel with what should be there. */
  readonly sweep: () => void;
  readonly report: Report;
}

/** Links and addresses come in bursts; a look at the endpoints costs a system call for each. */
const MAINTAIN = { delayUs: 1_000, gapUs: 20_000 };
/** The kernel tells of a link before or after it drops its routes; a listing right then is too early. */
const RESYNC = { delayUs: 20_000, gapUs: 500_000 };
/** Commands whose changes are counted apart; more of them are `other`. */
const MAX_COMMANDS = 64;

export class KernelWatch {
  overruns = 0;
  /** Removals and replacements of our routes by others, by command name. */
  readonly byCommand = new Map<string, Counter>();
  readonly #options: WatchOptions;
  readonly #maintain: Throttle;
  readonly #resync: Throttle;
  #subscription: Disposable | null = null;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#maintain = new Throttle({ ...options, ...MAINTAIN, task: options.maintain });
    this.#resync = new Throttle({ ...options, ...RESYNC, task: options.sweep });
  }

  /** Sweeps that notifications led to. */
  get resyncs(): number {
    return this.#resync.runs;
  }

  /** @throws {Error} when the kernel grants no notifications */
  start(): void {
    this.#subscription = this.#options.kernel.subscribe((change) => this.#changed(change));
  }

  stop(): void {
    this.#subscription?.[Symbol.dispose]();
    this.#subscription = null;
    this.#maintain.stop();
    this.#resync.stop();
  }

  #changed(change: KernelChange): void {
    switch (change.kind) {
      case "route_removed":
        return this.#routeRemoved(change);
      case "route_added":
        return this.#routeAdded(change);
      case "link":
      case "address":
        return this.#groundMoved(change);
      case "rule":
        if (!change.present && change.mark === this.#options.rule.mark) this.#resync.request();
        return;
      case "overrun":
        this.overruns++;
        this.#options.report("kernel_overrun", {
          message: "notifications of the kernel were lost; its table is read again",
        });
        this.#maintain.request();
        return this.#resync.request();
    }
  }

  #routeRemoved({ route, actor }: RouteChange): void {
    if (route.table === this.#options.rule.table) return this.#resync.request();
    const entry = this.#options.book.inSlot(route);
    if (entry === undefined || route.protocol !== this.#options.protocol) return;
    if (entry.identity !== routeIdentity(route)) return;
    if (entry.lost(describeActor(actor, "removed"), eventActor(actor))) this.#count(actor);
  }

  /** An added route matters when it stands where ours stood, or is ours although it should not be there. */
  #routeAdded({ route, replaced, actor }: RouteChange): void {
    const entry = this.#options.book.inSlot(route);
    if (entry === undefined) return;
    const isOurs = entry.identity === routeIdentity(route) &&
      route.protocol === this.#options.protocol;
    if (isOurs) {
      if (!entry.desired) this.#resync.request();
    } else if (replaced && route.metric === (entry.route.metric ?? 0)) {
      if (entry.lost(describeActor(actor, "replaced"), eventActor(actor))) this.#count(actor);
    }
  }

  #groundMoved(_change: LinkChange | AddressChange): void {
    this.#maintain.request();
    this.#resync.request();
  }

  #count({ command }: Actor): void {
    const name = command ?? "unknown";
    const known = this.byCommand.has(name) || this.byCommand.size < MAX_COMMANDS;
    counter(this.byCommand, known ? name : "other").count++;
  }
}

function eventActor({ pid, command, unit, certain }: Actor): EventActor {
  return { pid, command, unit, certain };
}

/** `removed by ip (pid 812)`: what operators ask first. */
function describeActor(actor: Actor, what: string): string {
  const { port, pid, command, certain } = actor;
  if (port === 0) return `${what} by the kernel`;
  if (command === null) return `${what} by an unknown process`;
  return `${certain ? "" : "probably "}${what} by ${command}${pid === null ? "" : ` (pid ${pid})`}`;
}
