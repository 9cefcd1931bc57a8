import type { KernelCounters } from "../kernel/kernel.ts";
import type { HistogramData } from "./histogram.ts";

/** The states of a session, as the metrics and the API name them. */
export type SessionStateName = "admin_down" | "down" | "init" | "up";

/** A number that its owner adds to in place. */
export interface Count {
  readonly count: number;
}

/**
 * What is counted for one (interface, local address). Plain numbers that whoever counts keeps up to
 * date; they are read when the registry is scraped and at no other time. All but the gauges
 * (`sessions`, `routesInstalled`, `serviceQueueLen`) only grow.
 */
export interface EndpointMetrics {
  readonly iface: string;
  /** Local IPv4 address, dotted quad. */
  readonly localIp: string;

  readonly sessions: Readonly<Record<SessionStateName, number>>;
  /** By `"FROM TO REASON"`, e.g. `"down init handle_rx"`; FROM is `new` at registration. */
  readonly transitions: ReadonlyMap<string, Count>;
  /** First packet while Down until Up. */
  readonly convergenceToUp: HistogramData;
  /** First missing or condemning packet while Up until Down. */
  readonly convergenceToDown: HistogramData;

  readonly routesInstalled: number;
  readonly installs: number;
  readonly withdraws: number;
  readonly reinstalls: number;
  readonly installFailures: number;
  readonly uninstallFailures: number;

  readonly txPackets: number;
  /** Valid packets by the client version that the peer told; the owner bounds the number of keys. */
  readonly rxByVersion: ReadonlyMap<string, Count>;
  /** Refused packets by reason: `short`, `bad_len`, `bad_version`, `bad_detect_mult`, `not_ipv4`. */
  readonly rxInvalid: Readonly<Record<string, number>>;
  readonly unknownPeer: number;
  readonly readErrors: number;
  readonly writeErrors: number;
  readonly handleRx: HistogramData;

  /** Timers armed for this endpoint's sessions. */
  readonly serviceQueueLen: number;
  /** Detection work dropped by the queue's bound, by reason. */
  readonly eventsDropped: Readonly<Record<string, number>>;
  readonly reconcileReinstalls: number;
  readonly reconcileFailures: number;
}

/** Numbers of the whole daemon. */
export interface TotalMetrics {
  readonly schedulerQueueLen: number;
  /** Sessions known. */
  readonly sessions: number;
  /** Routes that the kernel confirmed. */
  readonly installed: number;
  /** Routes wanted. */
  readonly desired: number;
}

/** One session, for the opt-in metrics per peer. */
export interface PeerMetrics {
  readonly iface: string;
  readonly localIp: string;
  readonly peerIp: string;
  readonly state: SessionStateName;
  readonly detectTimeUs: number;
}

/** Where the metrics registry reads. Reading changes nothing, except {@linkcode takeLagMax}. */
export interface MetricsSource {
  endpoints(): Iterable<EndpointMetrics>;
  totals(): TotalMetrics;
  /** Read only when peer metrics are on. May be lazy: it is taken a slice at a time. */
  peers(): Iterable<PeerMetrics>;
  readonly kernel: Pick<KernelCounters, "requests" | "dumps">;
  /** How late the loop was, see `LoopLag`. */
  readonly loopLag: HistogramData;
  /** How late packets were sent, against the moment chosen for them; a sample. */
  readonly txLateness: HistogramData;
  /** How late silent sessions were declared down, against their deadline. */
  readonly detectLateness: HistogramData;
  /** Maximum loop lag since the last call, in seconds. */
  takeLagMax(): number;
  /** Removals and replacements of our routes by other processes, by command name. */
  externalChanges(): ReadonlyMap<string, Count>;
  /** Counters without labels, failures of every kind among them: `livenessd_NAME_total`, NAME in snake_case. */
  extra(): Iterable<{ readonly name: string; readonly help: string; readonly value: number }>;
}
