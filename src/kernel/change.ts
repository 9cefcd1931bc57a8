/**
 * What others do to routes, links, addresses and rules, as the kernel tells it at once.
 *
 * Three things the kernel does not tell, and a listener has to know:
 *
 * - Routes that vanish with their link or with a nexthop object are not told one by one, nor are, before
 *   Linux 6.13 or so, those whose preferred source goes: a {@linkcode LinkChange} or
 *   {@linkcode AddressChange} is all there is.
 * - After an {@linkcode Overrun} anything may have changed untold.
 * - Changes that follow from requests made through the same {@linkcode Kernel} object are not told:
 *   who asked has the answer to the request, and must never take its own change for somebody's.
 */

import type { KernelRoute } from "./route.ts";

/**
 * Who made a change: the owner of the netlink socket that asked for it. What could not be found out
 * (the process has ended, lives in another pid namespace, …) is `null`, never guessed.
 */
export interface Actor {
  /** Port id of the socket; 0: the kernel itself (carrier lost, address expired, …). */
  readonly port: number;
  /** Process id as this process sees it. */
  readonly pid: number | null;
  /** Command name of at most 15 characters (`/proc/PID/comm`), cleared of control characters. */
  readonly command: string | null;
  /** The systemd unit (`systemd-networkd.service`), or else the path of the control group. */
  readonly unit: string | null;
  /**
   * Whether the process was seen to hold that very socket. If not, the socket was closed already (or to
   * look takes CAP_SYS_PTRACE), and the process is the one whose id the port id is, against which nothing
   * speaks: say "probably".
   */
  readonly certain: boolean;
}

/** The kernel itself. */
export const kernelActor: Actor = {
  port: 0,
  pid: null,
  command: null,
  unit: null,
  certain: true,
};

/**
 * An IPv4 route came or went, whatever its protocol, in any table but `local`.
 *
 * A route that is no unicast route (blackhole, unreachable, prohibit, throw, …) is told as well, with
 * `unicast` false and no next hop: it can replace one of ours.
 */
export interface RouteChange {
  readonly kind: "route_added" | "route_removed";
  readonly route: KernelRoute;
  readonly unicast: boolean;
  /**
   * Of an added route: it took the place of the first route with the same table, prefix and metric,
   * whose removal is not told.
   */
  readonly replaced: boolean;
  readonly actor: Actor;
}

/** A link came, went or changed. Told for every change of a link, also when none of this differs. */
export interface LinkChange {
  readonly kind: "link";
  readonly ifindex: number;
  readonly name: string;
  /** Whether the interface exists in this network namespace. */
  readonly present: boolean;
  /** Whether it is administratively up (IFF_UP) and has carrier (IFF_LOWER_UP). */
  readonly up: boolean;
  /** Whether it is administratively up. Without that its routes are gone; without carrier they stay. */
  readonly adminUp: boolean;
  readonly actor: Actor;
}

/** An IPv4 address came to an interface (or was changed there), or went from it. */
export interface AddressChange {
  readonly kind: "address";
  readonly ifindex: number;
  /** The local address, a dotted quad. */
  readonly address: string;
  /** 0..32. */
  readonly prefixLength: number;
  readonly present: boolean;
  readonly actor: Actor;
}

/** An IPv4 rule of the kind that `MarkRule` describes came or went: `fwmark MARK lookup TABLE`. */
export interface RuleChange {
  readonly kind: "rule";
  readonly mark: number;
  readonly table: number;
  readonly priority: number;
  readonly protocol: number;
  readonly present: boolean;
  readonly actor: Actor;
}

/**
 * Changes were lost (ENOBUFS). Told when all that was not lost has been told: the kernel tells nothing
 * new before, and so a list that is asked for now misses nothing. How often to list is the listener's
 * choice.
 */
export interface Overrun {
  readonly kind: "overrun";
}

export type KernelChange = RouteChange | LinkChange | AddressChange | RuleChange | Overrun;

/** Takes changes one by one, in the order in which the kernel told them. Must not throw. */
export type KernelChangeListener = (change: KernelChange) => void;
