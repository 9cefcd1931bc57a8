/**
 * The configuration after validation: every default filled in, names resolved to numbers, durations in
 * microseconds. The YAML form that it comes from is described in docs/configuration.md.
 */
export interface Config {
  readonly mode: "active" | "passive";
  readonly liveness: LivenessConfig;
  readonly kernel: KernelConfig;
  readonly routes: readonly RouteConfig[];
  readonly probePath: ProbePathConfig;
  /** Addresses whose routes are never added to or deleted from the kernel. */
  readonly exclude: readonly string[];
  readonly metrics: { readonly listen: ListenAddress | null; readonly peerMetrics: boolean };
  readonly api: { readonly socket: string; readonly group: string | null };
  /** Where a run leaves what the next one needs; `null` when it shall leave nothing. */
  readonly state: { readonly file: string | null };
  readonly log: { readonly level: LogLevel; readonly format: LogFormat | null };
}

/** Protocol parameters; durations in µs. Defaults and bounds: spec "Settings and their defaults". */
export interface LivenessConfig {
  readonly bind: string;
  readonly port: number;
  readonly txMinUs: number;
  readonly rxMinUs: number;
  readonly detectMult: number;
  readonly minTxFloorUs: number;
  readonly maxTxCeilUs: number;
  readonly backoffMaxUs: number;
  readonly maxEvents: number;
  readonly honorPeerPassive: boolean;
  /** Advertised to peers, `MAJOR.MINOR.PATCH[-channel]`. */
  readonly clientVersion: string;
}

export interface KernelConfig {
  /** Route protocol number, 1..255. */
  readonly protocol: number;
  /** 0 disables the reconciler. */
  readonly reconcileIntervalUs: number;
  readonly onShutdown: "keep" | "withdraw";
}

/** One wanted route, complete. */
export interface RouteConfig {
  /** Canonical prefix, e.g. `10.1.0.1/32`. */
  readonly dst: string;
  readonly via: string;
  readonly dev: string;
  readonly src: string;
  readonly table: number;
  /** Address to probe. */
  readonly probe: string;
  readonly noUninstall: boolean;
}

export interface ProbePathConfig {
  readonly table: number;
  readonly mark: number;
  readonly rulePriority: number;
}

export interface ListenAddress {
  readonly hostname: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
}

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFormat = "json" | "text";
