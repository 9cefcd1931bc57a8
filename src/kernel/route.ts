/**
 * A unicast IPv4 route as livenessd asks the kernel for it (`ip route replace`'s words).
 *
 * Addresses are canonical dotted quads; `dst` is a prefix in CIDR form with no host bits set.
 */
export interface Route {
  /** Routing table number, 1..2^32-1. */
  readonly table: number;
  /** Destination prefix, e.g. `10.1.0.1/32`. */
  readonly dst: string;
  /** Next hop address. */
  readonly via: string;
  /** Preferred source address; `null` leaves the choice to the kernel. */
  readonly src: string | null;
  /** Output interface name; `null` lets the kernel derive it from the next hop. */
  readonly dev: string | null;
  /** Route protocol number (`rtm_protocol`), 0..255. */
  readonly protocol: number;
  /** Priority; the kernel's default for IPv4 is 0. Lower is preferred. */
  readonly metric?: number;
}

/** A route as the kernel lists it: what livenessd cannot express is `null`, never guessed. */
export interface KernelRoute {
  readonly table: number;
  readonly dst: string;
  /** `null` for a route without a single IPv4 gateway (on-link, multipath, nexthop object). */
  readonly via: string | null;
  readonly src: string | null;
  /** Output interface index; 0 when the route has none. */
  readonly ifindex: number;
  readonly protocol: number;
  readonly metric: number;
}

/**
 * What makes two routes the same one for reconciliation: table, prefix with its length, next hop and
 * preferred source. A /16 never stands in for a /24, and another source is another route.
 */
export function routeIdentity(route: Route | KernelRoute): string {
  return `${route.table} ${route.dst} ${route.via ?? "-"} ${route.src ?? "-"}`;
}
