import { State, STATE_NAMES } from "../protocol/packet.ts";
import { UNSET } from "../protocol/session.ts";
import { formatVersion } from "../protocol/version.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { RouteEntry } from "./route_entry.ts";
import type { SessionEntry } from "./session_entry.ts";
import type { RouteSnapshot, SessionSnapshot } from "./snapshot.ts";

/** Turns monotonic moments into RFC 3339 text, as of one moment. */
export function wallTime(clock: Clock): (at: number) => string {
  const offset = clock.wall() - clock.now() / 1_000;
  return (at) => new Date(offset + at / 1_000).toISOString();
}

export function sessionSnapshot(
  entry: SessionEntry,
  wall: (at: number) => string,
): SessionSnapshot {
  const { session, end } = entry;
  return {
    dev: end.dev,
    src: end.address,
    peer: entry.peer,
    state: STATE_NAMES[session.state],
    reason: sessionReason(entry),
    was_up: entry.wasUp,
    since: wall(session.lastUpdatedUs),
    local_discriminator: session.localDiscr,
    peer_discriminator: session.peerDiscr,
    tx_interval_us: session.txIntervalUs,
    detect_time_us: session.detectTimeUs,
    peer_mode: session.peerMode,
    peer_client_version: formatVersion(session.peerVersion),
    last_rx: session.lastRxUs === UNSET ? null : wall(session.lastRxUs),
    tx_packets: entry.txPackets,
    rx_packets: entry.rxPackets,
    send_errors: entry.sendErrors,
    send_error: entry.sendError,
    flaps: entry.flaps,
    routes: entry.routes.length,
  };
}

/** Why a session is not Up, in the protocol's words, the endpoint's trouble first; `null` in Init and Up. */
export function sessionReason(entry: SessionEntry): string | null {
  const { session, end } = entry;
  if (session.state >= State.Init) return null;
  if (session.state === State.AdminDown) return "local_admin";
  if (!end.endpoint.open) return `endpoint: ${end.endpoint.reason}`;
  if (session.downReason === "none") return "never_up";
  return session.downReason;
}

export function routeSnapshot(entry: RouteEntry, wall: (at: number) => string): RouteSnapshot {
  const { config, session } = entry;
  return {
    dst: config.dst,
    via: config.via,
    dev: config.dev,
    src: config.src,
    table: config.table,
    probe: config.probe,
    no_uninstall: config.noUninstall,
    origin: entry.origin,
    desired: entry.desired,
    installed: entry.believed,
    excluded: entry.excluded,
    session_state: STATE_NAMES[session.session.state],
    reason: routeReason(entry),
    kernel_error: entry.lastError?.text ?? null,
    installs: entry.installs,
    withdraws: entry.withdraws,
    reinstalls: entry.reinstalls,
    failures: entry.totalFailures,
    since: wall(entry.changedAt),
  };
}

function routeReason(entry: RouteEntry): string | null {
  if (entry.excluded) return "excluded: the kernel's route is left alone";
  if (entry.lastError !== null) return `kernel: ${entry.lastError.text}`;
  if (entry.desired && !entry.believed) return "waiting for the kernel";
  if (!entry.desired && !entry.believed) {
    const reason = sessionReason(entry.session);
    return reason === null ? "waiting for the session" : `session: ${reason}`;
  }
  return entry.remark;
}
