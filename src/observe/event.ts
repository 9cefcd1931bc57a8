/** The kinds of things that happen, as `livenessd events` names them. */
export type EventKind =
  | "session_state"
  | "session_added"
  | "session_removed"
  | "route_registered"
  | "route_forgotten"
  | "route_installed"
  | "route_withdrawn"
  | "route_reinstalled"
  | "route_install_failed"
  | "route_uninstall_failed"
  | "route_refused"
  | "route_removed_externally"
  | "route_contested"
  | "route_adopted"
  | "route_adoption_expired"
  | "route_stale_removed"
  | "state_file_failed"
  | "kernel_overrun"
  | "endpoint_opened"
  | "endpoint_lost"
  | "probe_route_failed"
  | "reconcile_failed"
  | "local_stall"
  | "config_reloaded"
  | "daemon_started"
  | "daemon_stopping";

/** Which session an event is about: the (interface, local IP, peer IP) triple. */
export interface EventSession {
  readonly dev: string;
  readonly src: string;
  readonly peer: string;
}

/** Which route an event is about. */
export interface EventRoute {
  readonly table: number;
  readonly dst: string;
  readonly via: string;
  readonly dev: string;
  readonly src: string;
}

/** The process that did it; what could not be found out is `null`. */
export interface EventActor {
  readonly pid: number | null;
  readonly command: string | null;
  /** systemd unit or control group. */
  readonly unit: string | null;
  /** False when it is only the most likely one. */
  readonly certain: boolean;
}

/** What a reporter says of something that happened; the log adds `seq` and the time. */
export interface EventDetails {
  readonly session?: EventSession;
  readonly route?: EventRoute;
  readonly actor?: EventActor;
  readonly from?: string;
  readonly to?: string;
  readonly reason?: string;
  /** What it took, in whole microseconds; the event's kind says from when. */
  readonly after_us?: number;
  /** A sentence for people, when kind and fields do not say it all. */
  readonly message?: string;
}

/**
 * One thing that happened, as it is kept and handed on. Thousands may happen within one turn of the loop
 * and few are ever read: words are made of it only by whoever shows it.
 */
export interface EventRecord {
  /** 1, 2, 3, … in this process; never reused. */
  readonly seq: number;
  /** Wall clock, milliseconds since the epoch. */
  readonly at: number;
  readonly kind: EventKind;
  /** The reporter's own object, not a copy. */
  readonly details: EventDetails;
}

/** A record as it is shown: the log line and the API's event are this same object. */
export interface Event extends EventDetails {
  readonly seq: number;
  /** Wall-clock time, RFC 3339 in UTC with milliseconds. */
  readonly time: string;
  readonly kind: EventKind;
}

/** Makes of a record what is shown. */
export function asEvent({ seq, at, kind, details }: EventRecord): Event {
  return { seq, time: rfc3339(at), kind, ...details };
}

let lastAt = NaN;
let lastText = "";

/** RFC 3339 text of milliseconds since the epoch. Events come in crowds: the last text is kept. */
export function rfc3339(at: number): string {
  if (at !== lastAt) {
    lastText = new Date(at).toISOString();
    lastAt = at;
  }
  return lastText;
}

/** Takes what happened; the details must not change afterwards. The manager and its helpers are given one. */
export type Report = (kind: EventKind, details: EventDetails) => void;
