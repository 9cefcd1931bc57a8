/** What settings mean for each other, routes aside. */
import { formatDuration } from "./duration.ts";
import type { Findings } from "./findings.ts";
import type { ConfigValues } from "./schema.ts";
import type { Draft } from "./validate.ts";

type Liveness = Draft<ConfigValues["liveness"]>;

/** The intervals' bounds against each other. */
export function checkLiveness(liveness: Liveness, findings: Findings): void {
  const { min_tx_floor: floor, max_tx_ceil: ceiling, backoff_max: backoff } = liveness;
  if (floor !== undefined) {
    checkAtLeastFloor(ceiling, floor, "max_tx_ceil", findings);
    checkAtLeastFloor(backoff, floor, "backoff_max", findings);
  }
  if (floor !== undefined && ceiling !== undefined && floor <= ceiling) {
    warnOfClamping(liveness.tx_min, floor, ceiling, "tx_min", findings);
    warnOfClamping(liveness.rx_min, floor, ceiling, "rx_min", findings);
  }
}

function checkAtLeastFloor(
  us: number | undefined,
  floor: number,
  key: string,
  findings: Findings,
): void {
  if (us === undefined || us >= floor) return;
  const path = ["liveness", key];
  findings.refuse(path, `at least liveness.min_tx_floor (${formatDuration(floor)})`, {
    given: findings.givenOrDefault(path, formatDuration(us)),
  });
}

function warnOfClamping(
  us: number | undefined,
  floor: number,
  ceiling: number,
  key: string,
  findings: Findings,
): void {
  if (us === undefined || (us >= floor && us <= ceiling)) return;
  const used = formatDuration(Math.min(Math.max(us, floor), ceiling));
  const range = `${formatDuration(floor)} to ${formatDuration(ceiling)}`;
  const path = ["liveness", key];
  findings.warn(path, `${range} (liveness.min_tx_floor to max_tx_ceil)`, {
    given: findings.givenOrDefault(path, formatDuration(us)),
    remark: `${used} will be used`,
  });
}

/** Each would take the other's place. */
export function checkStateFile(
  file: string | undefined,
  socket: string | undefined,
  findings: Findings,
): void {
  if (file === undefined || file !== socket) return;
  findings.refuse(["state", "file"], "another path than api.socket, or off");
}

const KERNELS_OWN = new Set([0, 1, 2]);
const SHARED = new Set([3, 4, 9, 16]);

/** Routes of our protocol are ours to repair and remove: it must not be everybody's. */
export function checkProtocol(
  protocol: number | undefined,
  findings: Findings,
): number | undefined {
  if (protocol === undefined) return undefined;
  const path = ["kernel", "protocol"];
  if (KERNELS_OWN.has(protocol)) {
    findings.refuse(path, "a routing daemon's protocol, such as bgp", {
      remark: "the kernel gives this one to routes of its own",
    });
    return undefined;
  }
  if (SHARED.has(protocol)) {
    findings.warn(path, "a protocol that no one else uses here, such as bgp", {
      remark: "administrators and address configuration add routes with this one",
    });
  }
  return protocol;
}

/** Tables that rules of the kernel itself lead to, or whose content others own. */
const SYSTEM_TABLES = new Set([0, 253, 254, 255]);

/** The table of probe routes must hold nothing else; `undefined` when it cannot. */
export function checkProbeTable(
  table: number | undefined,
  findings: Findings,
): number | undefined {
  if (table === undefined || !SYSTEM_TABLES.has(table)) return table;
  findings.refuse(["probe_path", "table"], "a table of its own, such as 44880", {
    remark: "every packet may take main, default and local; only probes may take this one",
  });
  return undefined;
}
