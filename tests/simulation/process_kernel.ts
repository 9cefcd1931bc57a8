import type {
  Kernel,
  KernelChangeListener,
  KernelCounters,
  KernelResult,
  ListResult,
  MarkRule,
  RouteFilter,
} from "../../src/kernel/kernel.ts";
import type { MemoryKernel } from "../../src/kernel/memory_kernel.ts";
import type { Route } from "../../src/kernel/route.ts";

/** A lie that a mutated world tells, to prove that the referee notices. */
export type KernelLie = "says deleted and keeps" | "says installed and does not";

/**
 * One process's connection to its machine's kernel. The routing table outlives it; answers to a process
 * that has died meanwhile reach nobody.
 */
export class ProcessKernel implements Kernel {
  readonly counters: KernelCounters;
  #alive = true;

  constructor(readonly table: MemoryKernel, readonly lie: KernelLie | null = null) {
    this.counters = table.counters;
  }

  replace(route: Route): Promise<KernelResult> {
    if (this.lie === "says installed and does not") return Promise.resolve({ ok: true });
    return this.#whileAlive(() => this.table.replace(route));
  }

  delete(route: Route): Promise<KernelResult> {
    if (this.lie === "says deleted and keeps") return Promise.resolve({ ok: true });
    return this.#whileAlive(() => this.table.delete(route));
  }

  list(filter: RouteFilter): Promise<ListResult> {
    return this.#whileAlive(() => this.table.list(filter));
  }

  addRule(rule: MarkRule): Promise<KernelResult> {
    return this.#whileAlive(() => this.table.addRule(rule));
  }

  deleteRule(rule: MarkRule): Promise<KernelResult> {
    return this.#whileAlive(() => this.table.deleteRule(rule));
  }

  get pending(): number {
    return this.table.pending;
  }

  ifindex(dev: string): number {
    return this.table.ifindex(dev);
  }

  /** A process that has died is told nothing any more. */
  subscribe(listener: KernelChangeListener): Disposable {
    return this.table.subscribe((change) => {
      if (this.#alive) listener(change);
    });
  }

  /** Nobody waits for answers any more; requests already made take effect all the same. */
  close(): void {
    this.#alive = false;
  }

  #whileAlive<T>(request: () => Promise<T>): Promise<T> {
    if (!this.#alive) return new Promise<T>(() => {});
    return new Promise<T>((resolve) => {
      request().then((answer) => {
        if (this.#alive) resolve(answer);
      });
    });
  }
}
