/** The links and local addresses that routes in memory stand on: all there and up unless told otherwise. */

/** `no carrier`: administratively up, with nobody at the other end. */
export type LinkState = "up" | "no carrier" | "down" | "gone";

export class MemoryLinks {
  readonly #ifindexes = new Map<string, number>();
  #last = 1; // lo
  /** Interfaces that are down or gone. */
  readonly #down = new Set<number>();
  /** Names whose interface is gone; should one return, it gets another index. */
  readonly #gone = new Set<string>();
  readonly #goneAddresses = new Set<string>();

  /** The index of the interface of that name; 0 when it is gone. */
  ifindex(name: string): number {
    return this.#gone.has(name) ? 0 : this.#index(name);
  }

  /** Changes a link's state and answers its index. */
  set(name: string, state: LinkState): number {
    if (state !== "gone" && this.#gone.delete(name)) this.#ifindexes.delete(name);
    const ifindex = this.#index(name);
    if (state === "gone") this.#gone.add(name);
    if (state === "gone" || state === "down") this.#down.add(ifindex);
    else this.#down.delete(ifindex);
    return ifindex;
  }

  /** Whether routes can be on the interface. */
  carriesRoutes(ifindex: number): boolean {
    return !this.#down.has(ifindex);
  }

  setAddress(address: string, present: boolean): void {
    if (present) this.#goneAddresses.delete(address);
    else this.#goneAddresses.add(address);
  }

  hasAddress(address: string): boolean {
    return !this.#goneAddresses.has(address);
  }

  #index(name: string): number {
    let index = this.#ifindexes.get(name);
    if (index === undefined) {
      index = ++this.#last;
      this.#ifindexes.set(name, index);
    }
    return index;
  }
}
