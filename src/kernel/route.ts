import { formatAddress, parseAddress, parsePrefix } from "./ipv4.ts";

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

/**
 * A route by its numbers, for those who look at thousands; to be overwritten by the next one. 32 bits are
 * signed here (255.0.0.0 is below 0): a number of more than 31 bits would be an object of its own to V8.
 */
export class RouteFields {
  table = 0;
  dst = 0;
  /** 0..32. */
  prefixLength = 0;
  /** 0 as well when `hasVia` is false. */
  via = 0;
  hasVia = false;
  /** 0 as well when `hasSrc` is false. */
  src = 0;
  hasSrc = false;
  ifindex = 0;
  protocol = 0;
  metric = 0;
}

/** What the kernel holds one route in at each metric: numbers as in {@linkcode RouteFields}. */
export type Slot = Pick<RouteFields, "table" | "dst" | "prefixLength">;

/** The slot that a route belongs in; `null` when `dst` is no prefix. */
export function routeSlot({ table, dst }: Pick<Route, "table" | "dst">): Slot | null {
  const prefix = parsePrefix(dst);
  if (prefix === null) return null;
  return { table: table | 0, dst: prefix.address | 0, prefixLength: prefix.length };
}

/** The route by its numbers, the interface index 0 where it has none; `null` when its text is no route. */
export function routeFields(route: Route | KernelRoute): RouteFields | null {
  const slot = routeSlot(route);
  const via = route.via === null ? 0 : parseAddress(route.via);
  const src = route.src === null ? 0 : parseAddress(route.src);
  if (slot === null || via === null || src === null) return null;
  const fields = Object.assign(new RouteFields(), slot);
  fields.via = via | 0;
  fields.hasVia = route.via !== null;
  fields.src = src | 0;
  fields.hasSrc = route.src !== null;
  fields.ifindex = "ifindex" in route ? route.ifindex | 0 : 0;
  fields.protocol = route.protocol;
  fields.metric = (route.metric ?? 0) | 0;
  return fields;
}

/** The same route in words. */
export function kernelRoute(fields: RouteFields): KernelRoute {
  const { table, dst, prefixLength, via, hasVia, src, hasSrc, ifindex, protocol, metric } = fields;
  return {
    table: table >>> 0,
    dst: `${formatAddress(dst)}/${prefixLength}`,
    via: hasVia ? formatAddress(via) : null,
    src: hasSrc ? formatAddress(src) : null,
    ifindex: ifindex >>> 0,
    protocol,
    metric: metric >>> 0,
  };
}
