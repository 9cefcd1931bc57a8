/** What the manager shows of a session. Field names are the API's JSON. */
export interface SessionSnapshot {
  readonly dev: string;
  readonly src: string;
  readonly peer: string;
  readonly state: "admin_down" | "down" | "init" | "up";
  /** Why it is down: the protocol's down reason, `endpoint: …` or `never_up`; `null` while Up or Init. */
  readonly reason: string | null;
  /** True once the session has been Up since it was registered. */
  readonly was_up: boolean;
  /** RFC 3339 UTC: since when the present state holds. */
  readonly since: string;
  readonly local_discriminator: number;
  readonly peer_discriminator: number;
  readonly tx_interval_us: number;
  readonly detect_time_us: number;
  readonly peer_mode: "unknown" | "active" | "passive";
  readonly peer_client_version: string;
  /** RFC 3339 UTC of the last valid packet; `null` when there was none. */
  readonly last_rx: string | null;
  readonly tx_packets: number;
  readonly rx_packets: number;
  readonly send_errors: number;
  /** The last send error's text; `null` when the last send went out. */
  readonly send_error: string | null;
  /** How often it left Up. */
  readonly flaps: number;
  /** Routes that use this session. */
  readonly routes: number;
}

/** Where a wanted route came from. */
export type RouteOrigin = "config" | "api";

/** What the manager shows of a wanted route. Field names are the API's JSON. */
export interface RouteSnapshot {
  readonly dst: string;
  readonly via: string;
  readonly dev: string;
  readonly src: string;
  readonly table: number;
  readonly probe: string;
  readonly no_uninstall: boolean;
  readonly origin: RouteOrigin;
  /** Should be in the kernel now, by policy. */
  readonly desired: boolean;
  /** The kernel confirmed it and nothing since has said otherwise. */
  readonly installed: boolean;
  readonly excluded: boolean;
  /** State of the session that gates it. */
  readonly session_state: SessionSnapshot["state"];
  /** Why it is not installed, or how it came back, for people; `null` when there is nothing to say. */
  readonly reason: string | null;
  /** The kernel's last refusal; `null` when the last request went well. */
  readonly kernel_error: string | null;
  readonly installs: number;
  readonly withdraws: number;
  readonly reinstalls: number;
  readonly failures: number;
  /** RFC 3339 UTC of the last change of `installed`. */
  readonly since: string;
}
