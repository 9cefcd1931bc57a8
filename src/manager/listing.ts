import type { Kernel } from "../kernel/kernel.ts";
import { type KernelRoute, routeIdentity } from "../kernel/route.ts";

/** What one looks for in a listing. */
export interface Sought {
  /** See {@linkcode routeIdentity}. */
  readonly identity: string;
  readonly config: { readonly dev: string };
}

/**
 * The kernel's routes of our protocol, to be asked which of ours are among them: the same table, prefix,
 * next hop and source, out of the same interface, at the metric that all of ours have. A route that
 * differs in anything is another one, and not ours to touch.
 */
export class Listing {
  /** Interface index by identity; several only where somebody appended routes to the same prefix. */
  readonly #interfaces = new Map<string, number | number[]>();
  readonly #indexes = new Map<string, number>();

  constructor(routes: Iterable<KernelRoute>, private readonly kernel: Pick<Kernel, "ifindex">) {
    for (const route of routes) this.add(route);
  }

  /** Takes one more route of the kernel's in. */
  add(route: KernelRoute): void {
    if (route.metric !== 0) return;
    const identity = routeIdentity(route);
    const others = this.#interfaces.get(identity);
    const all = others === undefined ? route.ifindex : [others, route.ifindex].flat();
    this.#interfaces.set(identity, all);
  }

  has({ identity, config: { dev } }: Sought): boolean {
    const interfaces = this.#interfaces.get(identity);
    if (interfaces === undefined) return false;
    let index = this.#indexes.get(dev);
    if (index === undefined) this.#indexes.set(dev, index = this.kernel.ifindex(dev));
    return typeof interfaces === "number" ? interfaces === index : interfaces.includes(index);
  }
}
