/** Requests on their way to the kernel: from the words of a caller to the numbers of a message. */

import type { RouteNumbers } from "../../ffi/netlink.ts";
import { invalidRequest } from "./errors.ts";
import { parseAddress, parsePrefix } from "./ipv4.ts";
import type { KernelError } from "./kernel.ts";
import type { Route } from "./route.ts";

/**
 * The numbers of a route, or the error that names what is wrong with it.
 *
 * @param ifindex the index of `route.dev`, 0 to leave the interface out
 */
export function routeNumbers(route: Route, ifindex: number): RouteNumbers | KernelError {
  const prefix = parsePrefix(route.dst);
  if (prefix === null) {
    return invalidRequest(`dst "${route.dst}" is not an IPv4 prefix without host bits`);
  }
  const via = parseAddress(route.via);
  if (via === null) return invalidRequest(`via "${route.via}" is not an IPv4 address`);
  const src = route.src === null ? null : parseAddress(route.src);
  if (src === null && route.src !== null) {
    return invalidRequest(`src "${route.src}" is not an IPv4 address`);
  }
  const { table, protocol, metric = 0 } = route;
  if (!isWhole(table, 1, 0xffffffff)) return invalidRequest(`table ${table} is not 1..4294967295`);
  if (!isWhole(protocol, 0, 255)) return invalidRequest(`protocol ${protocol} is not 0..255`);
  if (!isWhole(metric, 0, 0xffffffff)) {
    return invalidRequest(`metric ${metric} is not 0..4294967295`);
  }
  const { address: dst, length: prefixLength } = prefix;
  return { table, dst, prefixLength, via, src, ifindex, protocol, metric };
}

function isWhole(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
