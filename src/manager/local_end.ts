import { STATE_NAMES, type StateName } from "../protocol/packet.ts";
import { type ClientVersion, formatVersion } from "../protocol/version.ts";
import type { Endpoint } from "../transport/transport.ts";
import type { SessionEntry } from "./session_entry.ts";

/** A number that is counted in place. */
export interface Counter {
  count: number;
}

/** Takes measurements and can be read as a histogram; the daemon's wiring supplies them. */
export interface HistogramSink {
  readonly bounds: readonly number[];
  readonly counts: ArrayLike<number>;
  readonly sum: number;
  observe(seconds: number): void;
}

export type HistogramKind = "wait" | "handling";

/** Distinct client versions counted apart; a peer that makes versions up must not fill the memory. */
const MAX_VERSIONS = 64;

/** All that is counted for one (interface, local address). Plain numbers, read at scrape time. */
export class EndCounters {
  readonly sessions: Record<StateName, number> = { admin_down: 0, down: 0, init: 0, up: 0 };
  /** By `FROM TO REASON`. */
  readonly transitions = new Map<string, Counter>();
  readonly rxByVersion = new Map<string, Counter>();
  readonly rxInvalid = { short: 0, bad_len: 0, bad_version: 0, bad_detect_mult: 0, not_ipv4: 0 };
  routesInstalled = 0;
  installs = 0;
  withdraws = 0;
  reinstalls = 0;
  /** Removals and replacements of installed routes by others. */
  externalRemovals = 0;
  installFailures = 0;
  uninstallFailures = 0;
  txPackets = 0;
  unknownPeer = 0;
  /** Packets of a known peer that name a discriminator which is not ours. */
  foreignDiscriminator = 0;
  /** Silent sessions judged a turn later because of `max_events`. */
  eventsPostponed = 0;
  reconcileReinstalls = 0;
  reconcileFailures = 0;

  countTransition(from: StateName | "new", to: StateName, reason: string): void {
    if (from !== "new") this.sessions[from]--;
    this.sessions[to]++;
    counter(this.transitions, `${from} ${to} ${reason}`).count++;
  }

  /** The counter for packets of peers with this client version. */
  forVersion(version: ClientVersion): Counter {
    const text = formatVersion(version);
    const known = this.rxByVersion.has(text) || this.rxByVersion.size < MAX_VERSIONS;
    return counter(this.rxByVersion, known ? text : "other");
  }
}

/**
 * Our end of sessions: one (interface, local address), its sessions and its counters. It outlives its
 * socket, which is there while sessions are: what was counted does not vanish with the last of them.
 */
export class LocalEnd {
  readonly counters = new EndCounters();
  /** By the peer's IPv4 address as a signed 32-bit integer. */
  readonly sessions = new Map<number, SessionEntry>();
  readonly convergenceToUp: HistogramSink;
  readonly convergenceToDown: HistogramSink;
  readonly handleRx: HistogramSink;
  /** Whether the endpoint was open when it was last looked at: tells a loss from a failed reopening. */
  wasOpen = false;

  constructor(
    readonly dev: string,
    readonly address: string,
    /** The socket, or the last one while no session needs any. */
    public endpoint: Endpoint,
    histogram: (kind: HistogramKind) => HistogramSink,
  ) {
    this.convergenceToUp = histogram("wait");
    this.convergenceToDown = histogram("wait");
    this.handleRx = histogram("handling");
  }
}

/** The counter under `key`, made at its first use. */
export function counter(map: Map<string, Counter>, key: string): Counter {
  let found = map.get(key);
  if (found === undefined) map.set(key, found = { count: 0 });
  return found;
}

/** Session counts at zero. */
export function noSessions(): Record<StateName, number> {
  return Object.fromEntries(STATE_NAMES.map((name) => [name, 0])) as Record<StateName, number>;
}
