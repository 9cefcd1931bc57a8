/**
 * The manager: sessions × routes. It joins what the pure parts decide with what the seams can do.
 *
 * Packets and timers come from the loop; the session says what follows; the manager carries it out:
 * counts, reports, advertises, and asks the policy what becomes of each route that uses the session.
 */
import type { LivenessConfig, ProbePathConfig, RouteConfig } from "../config/config.ts";
import type { Kernel, KernelError } from "../kernel/kernel.ts";
import type { Report } from "../observe/event.ts";
import { ControlPacket, State, STATE_NAMES } from "../protocol/packet.ts";
import type { Transition } from "../protocol/session.ts";
import { parseVersion } from "../protocol/version.ts";
import type { Clock } from "../scheduler/clock.ts";
import { Loop, type Observer } from "../scheduler/loop.ts";
import { Periodic } from "../scheduler/periodic.ts";
import type { Random } from "../scheduler/random.ts";
import { Slices } from "../scheduler/slices.ts";
import { TimerWheel } from "../scheduler/timer_wheel.ts";
import type { Endpoint, Transport } from "../transport/transport.ts";
import { Adoption } from "./adoption.ts";
import { worthReporting } from "./backoff.ts";
import { Departures } from "./departures.ts";
import type { FormerRoute, FormerSession } from "./former_run.ts";
import { type HistogramKind, type HistogramSink, type LocalEnd, noSessions } from "./local_end.ts";
import type {
  ManagerApi,
  ManagerCounts,
  Outcome,
  Refusal,
  RouteKeyParts,
  SessionKeyParts,
} from "./manager_api.ts";
import { PacketReceiver } from "./packet_receiver.ts";
import { ProbePath } from "./probe_path.ts";
import { Reconciler } from "./reconciler.ts";
import { invalid, notFound, registrationRefusal, routeText } from "./registration.ts";
import { RouteBook } from "./route_book.ts";
import type { RouteEntry } from "./route_entry.ts";
import { type SessionContext, type SessionEntry, type TransitionCause } from "./session_entry.ts";
import { SessionTable } from "./session_table.ts";
import type { RouteOrigin, RouteSnapshot, SessionSnapshot } from "./snapshot.ts";
import { StateKeeper, type StateStore } from "./state_keeper.ts";
import { routeSnapshot, sessionSnapshot, wallTime } from "./snapshots.ts";
import { transitionDetails } from "./transition_details.ts";
import { KernelWatch } from "./watch.ts";

export interface ManagerOptions {
  readonly mode: "active" | "passive";
  readonly liveness: LivenessConfig;
  /** Route protocol number that is ours. */
  readonly protocol: number;
  /** 0 disables the reconciler. */
  readonly reconcileIntervalUs: number;
  readonly probePath: ProbePathConfig;
  /** Destination addresses that are never touched. */
  readonly exclude: readonly string[];

  /** Where this run leaves what the next one needs; `null` for nowhere. */
  readonly state: StateStore | null;

  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  readonly kernel: Kernel;
  readonly report: Report;
  readonly histogram: (kind: HistogramKind) => HistogramSink;
  readonly lag: Observer;
}

/** How often addresses and interfaces are looked at, and closed endpoints tried again. */
const MAINTAIN_US = 1_000_000;

export class Manager implements ManagerApi, SessionContext {
  readonly clock: Clock;
  readonly random: Random;
  readonly wheel: TimerWheel;
  readonly loop: Loop;
  readonly scratch = new ControlPacket();
  readonly departures = new Departures();
  readonly reconciler: Reconciler;
  readonly probePath: ProbePath;
  readonly table: SessionTable;
  readonly book: RouteBook;
  readonly watch: KernelWatch;
  readonly adoption: Adoption;
  readonly keeper: StateKeeper;
  readonly txLateness: HistogramSink;
  readonly detectLateness: HistogramSink;
  /** Registrations refused since the start. */
  refused = 0;

  readonly #options: ManagerOptions;
  readonly #report: Report;
  readonly #states = noSessions();
  readonly #receiver: PacketReceiver;
  #stopping = false;
  #ended = false;
  readonly #maintenance: Periodic;
  readonly #sweeps: Periodic;

  constructor(options: ManagerOptions) {
    const { clock, transport, kernel, liveness, lag, protocol, probePath } = options;
    this.#options = options;
    this.#report = options.report;
    this.clock = clock;
    this.random = options.random;
    this.txLateness = options.histogram("wait");
    this.detectLateness = options.histogram("wait");
    this.wheel = new TimerWheel(clock.now());
    this.loop = new Loop({
      clock,
      transport,
      wheel: this.wheel,
      lag,
      maxEvents: liveness.maxEvents,
      flushed: (afterUs) => this.departures.left(afterUs),
      stalled: (lateUs) =>
        this.#report("local_stall", { after_us: lateUs, message: "the loop was held up" }),
    });
    this.table = new SessionTable({
      transport,
      context: this,
      histogram: options.histogram,
      parameters: {
        ...liveness,
        passive: options.mode === "passive",
        clientVersion: parseVersion(liveness.clientVersion),
      },
    });
    this.book = new RouteBook({
      ...options,
      honorPeerPassive: liveness.honorPeerPassive,
      wheel: this.wheel,
      loop: this.loop,
    });
    const { wheel, loop, book } = this;
    const slices = new Slices({ clock, wheel, loop });
    this.keeper = new StateKeeper({
      ...options,
      store: options.state,
      wheel,
      loop,
      sessions: () => this.#sessionRecords(),
      routes: () => this.#routeRecords(),
    });
    this.adoption = new Adoption({
      ...options,
      wheel,
      loop,
      book,
      changed: () => this.keeper.changed(),
      failed: (error) => this.#reconcileFailed(error),
    });
    this.probePath = new ProbePath({
      ...probePath,
      slices,
      clock,
      kernel,
      protocol,
      failed: (what, error, times) => {
        if (worthReporting(times)) {
          this.#report("probe_route_failed", { reason: error.text, message: what });
        }
      },
    });
    this.reconciler = new Reconciler({
      slices,
      kernel,
      clock,
      protocol,
      ready: this.adoption.finished,
      wanted: () => this.book.wanted(),
      wantedAt: (slot) => this.book.at(slot),
      linkPresent: (entry) => entry.session.end.endpoint.open,
      apply: (change) => this.book.mend(change),
      failed: (error) => this.#reconcileFailed(error),
    });
    this.watch = new KernelWatch({
      kernel,
      clock,
      protocol,
      wheel: this.wheel,
      loop: this.loop,
      book: this.book,
      rule: this.probePath.rule,
      maintain: () => transport.maintain(),
      sweep: () => this.sweep(),
      report: options.report,
    });
    this.#maintenance = new Periodic(
      this.wheel,
      this.loop,
      MAINTAIN_US,
      () => transport.maintain(),
    );
    this.#sweeps = new Periodic(
      this.wheel,
      this.loop,
      Math.max(1, options.reconcileIntervalUs),
      () => this.sweep(),
    );
    this.#receiver = new PacketReceiver({
      clock,
      loop,
      table: this.table,
      endpointChanged: (endpoint) => this.#endpointChanged(endpoint),
    });
    transport.start(this.#receiver, loop.arrived);
    // Packets wait for the loop's first turn.
    transport.wakeOnArrival(false);
  }

  /** Learns what a former run left. To be called once, before {@linkcode start} and before any route is wanted. */
  recall(): void {
    const former = this.keeper.recall();
    this.table.resume(former);
    this.adoption.resume(former);
  }

  /** Makes the probes' way and starts the loop. Routes may be registered before or after. */
  async start(): Promise<void> {
    // Seen from the first request on: what others change meanwhile is not missed.
    this.watch.start();
    // What a former run left is known before the first packet can move it.
    await Promise.all([this.adoption.start(), this.probePath.start()]);
    this.#maintenance.start();
    if (this.#options.reconcileIntervalUs > 0) this.#sweeps.start();
    this.#options.transport.wakeOnArrival(true);
    this.loop.start();
    await this.probePath.sweep();
  }

  /** Compares the kernel with what should be there, now. */
  async sweep(): Promise<void> {
    await Promise.all([this.reconciler.sweep(), this.probePath.sweep()]);
  }

  /**
   * Ends in order: one AdminDown to every peer, routes kept or withdrawn, our probe routes and rule
   * removed. Resolves when the kernel has answered.
   */
  async stop(onShutdown: "keep" | "withdraw"): Promise<void> {
    this.#stopping = true;
    this.#maintenance.stop();
    this.#sweeps.stop();
    this.watch.stop();
    this.#sayGoodbye();
    // The loop goes on meanwhile: removals that the kernel refuses are tried again by its timers.
    if (onShutdown === "withdraw") {
      await this.adoption.finished;
      await this.book.withdrawAll();
    }
    this.adoption.stop();
    await this.book.left();
    this.loop.stop();
    this.#ended = true;
    this.keeper.end();
    await this.probePath.stop();
  }

  // ── What the API and the sources ask ──────────────────────────────────────────────────────────────

  register(config: RouteConfig, origin: RouteOrigin): Outcome {
    const refusal = this.#stoppingRefusal() ?? registrationRefusal(config, {
      bind: this.#options.liveness.bind,
      sameSlot: this.book.inSlot(config),
      sameProbe: this.table.findOnDevice(config.dev, config.probe),
    });
    if (refusal !== null) return this.#refuse(config, refusal);
    const session = this.#sessionFor(config);
    const entry = this.book.add(config, origin, session);
    // Arrays that grow, also while spread, keep room for sixteen more; most sessions have one route.
    session.routes = session.routes.concat(entry);
    if (session.session.state === State.Up) this.book.act(entry, "session_up");
    this.#applyAdmin(session);
    this.keeper.changed();
    this.loop.wake();
    return { ok: true };
  }

  async withdraw(key: RouteKeyParts): Promise<Outcome> {
    const entry = this.book.find(key);
    if (entry === undefined) return notFound(`no wanted route ${routeText(key)}`);
    const gone = this.book.remove(entry);
    this.#leaveSession(entry);
    await gone;
    this.keeper.changed();
    return { ok: true };
  }

  setAdmin(key: SessionKeyParts, state: "down" | "up"): Outcome {
    const refusal = this.#stoppingRefusal();
    if (refusal !== null) return refusal;
    const entry = this.table.find(key);
    if (entry === undefined) {
      return notFound(`no session dev ${key.dev} src ${key.src} peer ${key.peer}`);
    }
    entry.operatorDown = state === "down";
    this.#applyAdmin(entry);
    this.loop.wake();
    return { ok: true };
  }

  *routes(): Iterable<RouteSnapshot> {
    const wall = wallTime(this.clock);
    for (const entry of this.book.wanted()) yield routeSnapshot(entry, wall);
  }

  *sessions(): Iterable<SessionSnapshot> {
    const wall = wallTime(this.clock);
    for (const entry of this.table.sessions()) yield sessionSnapshot(entry, wall);
  }

  counts(): ManagerCounts {
    let unknownPeerPackets = this.#receiver.strayPackets;
    for (const end of this.table.ends()) unknownPeerPackets += end.counters.unknownPeer;
    return {
      sessions: { ...this.#states },
      routesWanted: this.book.size,
      routesInstalled: this.book.installedCount,
      routesRefused: this.refused,
      unknownPeerPackets,
    };
  }

  #endpointChanged(endpoint: Endpoint): void {
    const end = this.table.endOf(endpoint);
    if (end === undefined) return;
    const details = { session: { dev: end.dev, src: end.address, peer: "" } };
    if (endpoint.open) {
      if (!end.wasOpen) this.#report("endpoint_opened", details);
      this.#revive(end);
    } else if (end.wasOpen) {
      this.#report("endpoint_lost", { ...details, reason: endpoint.reason ?? "unknown" });
    }
    end.wasOpen = endpoint.open;
  }

  // ── What follows in a session ─────────────────────────────────────────────────────────────────────

  changed(entry: SessionEntry, transition: Transition, cause: TransitionCause): void {
    const { from, to } = transition;
    const { end } = entry;
    this.#states[STATE_NAMES[from]]--;
    this.#states[STATE_NAMES[to]]++;
    end.counters.countTransition(STATE_NAMES[from], STATE_NAMES[to], cause);
    if (from === State.Up) entry.flaps++;
    if (to === State.Up) entry.wasUp = true;
    this.#report("session_state", transitionDetails(entry, transition, this.loop));
    entry.advertise(this.loop.now);
    if (to === State.Up && !entry.recordHolds) this.keeper.changed();
    if (to === State.Up || to === State.AdminDown) this.adoption.decided(entry);
    const fell = to === State.AdminDown || (to === State.Down && from >= State.Init);
    const occasion = to === State.Up ? "session_up" : fell ? "session_down" : null;
    if (occasion === null || this.adoption.keeps(entry)) return;
    for (const route of entry.routes) this.book.act(route, occasion);
  }

  unanswered(entry: SessionEntry): void {
    const { end } = entry;
    if (!end.endpoint.open || end.endpoint.pointToPoint) return;
    if (entry.way === null) entry.way = this.probePath.take(entry.peer, entry.via, end.dev);
    else this.probePath.renew(entry.way);
  }

  #sessionFor({ dev, src, probe, via }: RouteConfig): SessionEntry {
    const key = { dev, src, peer: probe };
    const known = this.table.find(key);
    if (known !== undefined) return known;
    const entry = this.table.add(key, via);
    this.#states.down++;
    entry.end.counters.countTransition("new", "down", "register_route");
    this.#report("session_added", { session: entry.subject });
    this.unanswered(entry);
    entry.start();
    return entry;
  }

  /** Brings a session's administrative state in line with the operator's word and the exclusions. */
  #applyAdmin(entry: SessionEntry): void {
    const { routes } = entry;
    const down = entry.operatorDown || routes.every((route) => route.excluded);
    const { session } = entry;
    const transition = down
      ? session.adminDown(this.clock.now())
      : session.adminUp(this.clock.now());
    if (transition !== null) this.changed(entry, transition, "admin_down_route");
  }

  #leaveSession(route: RouteEntry): void {
    const entry = route.session;
    entry.routes = entry.routes.filter((each) => each !== route);
    if (entry.routes.length > 0) return this.#applyAdmin(entry);
    this.#states[STATE_NAMES[entry.session.state]]--;
    entry.end.counters.sessions[STATE_NAMES[entry.session.state]]--;
    entry.session.adminDown(this.clock.now());
    entry.transmit(this.clock.now());
    this.#options.transport.flush();
    this.departures.left(0);
    this.adoption.decided(entry);
    this.table.remove(entry);
    if (entry.way !== null) this.probePath.giveBack(entry.way);
    this.#report("session_removed", { session: entry.subject });
  }

  /** The endpoint can send again: renew what went with the link, and try the peers at once. */
  #revive(end: LocalEnd): void {
    for (const entry of end.sessions.values()) {
      if (entry.way === null) this.unanswered(entry);
      else this.probePath.restore(entry.way);
      entry.retryNow(this.clock.now());
      for (const route of entry.routes) route.reinstall("endpoint");
    }
    this.loop.wake();
  }

  *#sessionRecords(): Iterable<FormerSession> {
    for (const entry of this.table.sessions()) yield entry.record();
  }

  /** The routes that are, or may be, in the kernel because of us. What is never removed is nobody's. */
  *#routeRecords(): Iterable<FormerRoute> {
    for (const entries of [this.book.wanted(), this.book.leaving()]) {
      for (const entry of entries) {
        if (entry.excluded || entry.config.noUninstall) continue;
        if (this.#ended && !entry.believed && !entry.unsettled) continue;
        const { table, dst, via, dev, src } = entry.config;
        yield { table, dst, via, dev, src };
      }
    }
    for (const { table, dst, via, dev, src } of this.adoption.stale()) {
      yield { table, dst, via, dev, src };
    }
  }

  #sayGoodbye(): void {
    const now = this.clock.now();
    for (const entry of this.table.sessions()) {
      if (entry.session.adminDown(now) !== null) entry.transmit(now);
      entry.keepStill();
    }
    this.#options.transport.flush();
  }

  // ── What goes wrong ───────────────────────────────────────────────────────────────────────────────

  /** The peers have been told goodbye: a session that began now would promise what nobody keeps. */
  #stoppingRefusal(): Refusal | null {
    return this.#stopping ? invalid("the daemon is stopping") : null;
  }

  #refuse(config: RouteConfig, refusal: Refusal): Refusal {
    this.refused++;
    const { table, dst, via, dev, src } = config;
    this.#report("route_refused", {
      route: { table, dst, via, dev, src },
      reason: refusal.code,
      message: refusal.message,
    });
    return refusal;
  }

  #reconcileFailed(error: KernelError): void {
    for (const end of this.table.ends()) end.counters.reconcileFailures++;
    this.#report("reconcile_failed", { reason: error.text });
  }
}
