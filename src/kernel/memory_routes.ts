/** Routing tables in memory, ordered and matched as Linux does it. */

import type { RouteFilter } from "./kernel.ts";
import type { KernelRoute, Route } from "./route.ts";

export class MemoryRoutes {
  /** Routes by table and prefix, each list in order of metric as Linux keeps them. */
  readonly #routes = new Map<string, KernelRoute[]>();

  /** Adds a route, or replaces the one with the same table, prefix and metric and answers that one. */
  put(route: KernelRoute): KernelRoute | null {
    const key = prefixKey(route);
    const same = this.#routes.get(key);
    if (same === undefined) {
      this.#routes.set(key, [route]);
      return null;
    }
    const index = same.findIndex((other) => other.metric >= route.metric);
    const replaces = index >= 0 && same[index].metric === route.metric;
    const [replaced] = index < 0
      ? same.splice(same.length, 0, route)
      : same.splice(index, replaces ? 1 : 0, route);
    return replaced ?? null;
  }

  /** Takes away the first route that a delete request for `wanted` takes, and answers it. */
  remove(wanted: Route | KernelRoute): KernelRoute | null {
    const key = prefixKey(wanted);
    const same = this.#routes.get(key);
    const index = same?.findIndex((other) => matches(other, wanted)) ?? -1;
    if (same === undefined || index < 0) return null;
    const [removed] = same.splice(index, 1);
    if (same.length === 0) this.#routes.delete(key);
    return removed;
  }

  /** Takes away all routes of which `gone` holds. */
  removeWhere(gone: (route: KernelRoute) => boolean): void {
    for (const [key, same] of this.#routes) {
      const left = same.filter((route) => !gone(route));
      if (left.length === 0) this.#routes.delete(key);
      else this.#routes.set(key, left);
    }
  }

  list({ table, protocol }: RouteFilter): KernelRoute[] {
    const found: KernelRoute[] = [];
    for (const same of this.#routes.values()) {
      for (const route of same) {
        if (table !== undefined && table !== route.table) continue;
        if (protocol !== undefined && protocol !== route.protocol) continue;
        found.push(route);
      }
    }
    return found;
  }

  has(wanted: Route | KernelRoute): boolean {
    return this.#routes.get(prefixKey(wanted))?.some((other) => matches(other, wanted)) ?? false;
  }
}

function prefixKey(route: { readonly table: number; readonly dst: string }): string {
  return `${route.table} ${route.dst}`;
}

/**
 * Whether a delete request for `wanted` takes `there`: what the request leaves open (source, interface,
 * metric 0, protocol 0) matches anything, as in Linux's `fib_table_delete`.
 */
function matches(there: KernelRoute, wanted: Route | KernelRoute): boolean {
  return (wanted.via === null || there.via === wanted.via) &&
    (wanted.src === null || there.src === wanted.src) &&
    (wanted.protocol === 0 || there.protocol === wanted.protocol) &&
    (!wanted.metric || there.metric === wanted.metric) &&
    (!("ifindex" in wanted) || wanted.ifindex === 0 || there.ifindex === wanted.ifindex);
}
