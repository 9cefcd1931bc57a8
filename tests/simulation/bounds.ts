/**
 * How long a daemon may take to notice and to recover: derived from the protocol, not from measurements.
 *
 * Recovery. Two daemons that run, a path that carries datagrams both ways, kernels that obey: how long
 * may a route be missing? With, for the two ends d and p,
 *
 * ```text
 *   TX(d)     clamp(max(d's tx_min, p's rx_min), floor, ceiling); TX = the longer of TX(d) and TX(p)
 *   detect(d) d's detect_mult × clamp(max(p's tx_min, d's rx_min), floor, ceiling); detect = the longer
 *   wait      max(1.1 × max(backoff_max, TX), 2.35 × TX): the longest jittered wait of a session that is Down,
 *             or how long one listens that was restarted
 * ```
 *
 * 1. What an end still believes from before dissolves. An end that is Up or Init without reason (the other
 *    one restarted, or gave it up) stays so for at most one detect time after the last packet that it
 *    accepted. A Down that comes within the first detect time after it went Up is ignored as stale, so this can
 *    happen once at each end: 2 × detect.
 * 2. Both are Down. The one whose timer is first sends its Down: after at most `wait`.
 * 3. The other answers Init, no sooner than one TX interval after its last packet; the first comes Up
 *    and says so, again paced; the other comes Up. An end that learns of a new discriminator only from
 *    the next periodic packet needs one more interval in each direction: 4 × 1.1 × TX in all.
 * 4. Five datagrams' delay, with the turns of the loops that handle them; and where an address had been
 *    lost, the daemon looks for it every second: 5 × delay + maintain.
 *
 *   path = wait + 2 × detect + 4.4 × TX + 5 × delay + maintain
 *
 * Then the route: the kernel's answer; after a kernel that failed, the longest wait between two tries
 * (10 s); after another process took the route away, the reconcile interval and the sweep itself.
 *
 * Withdrawal after a restart. A daemon that starts knows nothing of its peers; what a former run left stays
 * for one grace period, which is long enough for a live peer to answer (src/manager/adoption.ts):
 *
 * ```text
 *   I      interval at which p sends to d while Up
 *   grace  2.35 × I + detect(d) + 4.4 × max(TX(d), I) + 1 s, and one minute at most
 * ```
 */
import type { LivenessConfig } from "../../src/config/config.ts";
import type { Machine } from "./machine.ts";

/** The longest wait between two attempts to install a route that the kernel refused, µs. */
export const INSTALL_RETRY_MAX_US = 10_000_000;
/** The same for a removal, µs. */
export const UNINSTALL_RETRY_MAX_US = 1_000_000;
/** How often a daemon looks whether its addresses are there, µs. */
export const MAINTAIN_US = 1_000_000;
/** Between two attempts to look at, or to remove, what a former run left, µs. */
export const ADOPTION_RETRY_US = 1_000_000;
/** Jitter of the interval between two packets. */
const JITTER = 1.1;
/** Intervals of its peer that a restarted daemon listens for. */
const LISTEN = 2.35;
/** One datagram's delay with the turn that handles it, and the referee's own grid, µs. */
const DELAY_US = 200_000;

/** The three bounds within which a missing route must be back, each counted from another moment. µs. */
export interface RecoveryBounds {
  /** From when the path and both processes were last troubled. */
  readonly path: number;
  /** From when the kernel last failed or was slow. */
  readonly kernel: number;
  /** From when another process took the route away. */
  readonly external: number;
}

/** Interval at which `d` sends to `p` while Up, µs, before jitter. */
export function txIntervalUs(d: LivenessConfig, p: LivenessConfig): number {
  return clamp(Math.max(d.txMinUs, clamp(p.rxMinUs, d)), d);
}

/** The silence of `p` after which `d` gives it up, µs. */
export function detectTimeUs(d: LivenessConfig, p: LivenessConfig): number {
  return d.detectMult * clamp(Math.max(clamp(p.txMinUs, d), d.rxMinUs), d);
}

/** How long `d` keeps what a former run left for `p`, from its start on, µs. */
export function graceUs(d: LivenessConfig, p: LivenessConfig): number {
  const detect = detectTimeUs(d, p);
  const interval = detect / d.detectMult;
  const handshake = 4.4 * Math.max(txIntervalUs(d, p), interval);
  return Math.min(60_000_000, LISTEN * interval + detect + handshake + 1_000_000);
}

/** See the head of this file. */
export function recoveryBounds(machine: Machine, peer: Machine): RecoveryBounds {
  const d = machine.config.liveness;
  const p = peer.config.liveness;
  const tx = Math.max(txIntervalUs(d, p), txIntervalUs(p, d));
  const detect = Math.max(detectTimeUs(d, p), detectTimeUs(p, d));
  const wait = Math.max(JITTER * Math.max(d.backoffMaxUs, p.backoffMaxUs, tx), LISTEN * tx);
  const interval = machine.config.kernel.reconcileIntervalUs;
  return {
    path: wait + 2 * detect + 4 * JITTER * tx + 5 * DELAY_US + MAINTAIN_US,
    kernel: INSTALL_RETRY_MAX_US + interval + 5 * DELAY_US,
    external: interval + 5 * DELAY_US,
  };
}

function clamp(us: number, { minTxFloorUs, maxTxCeilUs }: LivenessConfig): number {
  return Math.min(Math.max(us, minTxFloorUs), maxTxCeilUs);
}
