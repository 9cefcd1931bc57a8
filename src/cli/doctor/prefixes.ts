import { parseAddress } from "../../kernel/ipv4.ts";

/** Whether a prefix as `ip` writes it (`10.0.0.0/30`, `10.0.0.2`, `default`) covers an address. */
export function covers(prefix: string, address: number): boolean {
  const [start, length] = numbersOf(prefix) ?? [];
  return start !== undefined && network(start, length!) === network(address, length!);
}

/** The length of a prefix as `ip` writes it. */
export function lengthOf(prefix: string): number {
  return numbersOf(prefix)?.[1] ?? 32;
}

/** Finds the most specific prefix that covers an address, among as many as a routing table has. */
export class LongestMatch<T extends { readonly dst: string }> {
  readonly #byLength = new Map<number, Map<number, T>>();
  readonly #lengths: readonly number[];

  /** Of two with the same prefix the first counts, as `ip` lists them. */
  constructor(items: Iterable<T>) {
    for (const item of items) {
      const [start, length] = numbersOf(item.dst) ?? [];
      if (start === undefined) continue;
      let networks = this.#byLength.get(length!);
      if (networks === undefined) this.#byLength.set(length!, networks = new Map());
      const key = network(start, length!);
      if (!networks.has(key)) networks.set(key, item);
    }
    this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a);
  }

  find(address: number): T | undefined {
    for (const length of this.#lengths) {
      const found = this.#byLength.get(length)!.get(network(address, length));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function numbersOf(prefix: string): [start: number, length: number] | null {
  if (prefix === "default") return [0, 0];
  const [text = "", digits = "32"] = prefix.split("/");
  const start = parseAddress(text);
  return start === null || !/^(?:[12]?\d|3[0-2])$/.test(digits) ? null : [start, Number(digits)];
}

function network(address: number, length: number): number {
  return length === 0 ? 0 : address >>> (32 - length);
}
