import type { Kernel } from "../kernel/kernel.ts";

/** Indexes of interfaces by name, each asked for once: an answer costs a system call. Soon out of date. */
export class InterfaceIndexes {
  readonly #known = new Map<string, number>();

  constructor(private readonly kernel: Pick<Kernel, "ifindex">) {}

  /** The index as the kernel's lists have it; 0 when there is no such interface. */
  of(dev: string): number {
    let index = this.#known.get(dev);
    if (index === undefined) this.#known.set(dev, index = this.kernel.ifindex(dev));
    return index;
  }
}
