import type { Slot } from "../kernel/route.ts";

/**
 * Things by table and prefix, the kernel's own order of keys. Found by numbers alone: a sweep looks for each
 * route that the kernel lists, and must not make a key for each.
 */
export class Slots<T> {
  /** By table, then by prefix length, then by address. */
  readonly #tables = new Map<number, (Map<number, T> | undefined)[]>();

  get({ table, dst, prefixLength }: Slot): T | undefined {
    return this.#tables.get(table)?.[prefixLength]?.get(dst);
  }

  set({ table, dst, prefixLength }: Slot, thing: T): void {
    let lengths = this.#tables.get(table);
    if (lengths === undefined) this.#tables.set(table, lengths = []);
    (lengths[prefixLength] ??= new Map()).set(dst, thing);
  }

  delete({ table, dst, prefixLength }: Slot): void {
    this.#tables.get(table)?.[prefixLength]?.delete(dst);
  }
}
