import type { Random } from "../../src/scheduler/random.ts";

/**
 * The simulation's only source of chance: sfc32, seeded by a number and a label.
 *
 * Every component draws from a stream of its own, named by what it is for. A change in how often one
 * component draws therefore leaves the others' draws as they were, and a seed stays comparable.
 */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed` is any integer; `label` says what the stream is for, e.g. `link 3>4`. */
  constructor(readonly seed: number, readonly label: string) {
    let hash = 0x811c9dc5 ^ (seed | 0);
    hash = mix(hash ^ Math.trunc(seed / 0x1_0000_0000));
    for (let i = 0; i < label.length; i++) hash = mix(hash ^ label.charCodeAt(i));
    this.#a = hash;
    this.#b = mix(hash + 0x9e3779b9);
    this.#c = mix(hash ^ 0x85ebca6b);
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** A stream of its own for a part of what this one is for; drawing from either moves only that one. */
  fork(label: string): SeededRandom {
    return new SeededRandom(this.seed, `${this.label}/${label}`);
  }

  fraction(): number {
    return (this.#next() >>> 0) / 0x1_0000_0000;
  }

  discriminator(): number {
    return 1 + Math.floor(this.fraction() * 0xffff_ffff);
  }

  /** True with probability `p`; draws nothing when `p` is 0, so that an idle fault costs nothing. */
  chance(p: number): boolean {
    return p > 0 && this.fraction() < p;
  }

  /** A whole number, uniform in `from`..`to`, both included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  /** One of `choices`, which must not be empty. */
  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.fraction() * choices.length)]!;
  }

  #next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }
}

/** MurmurHash3's finalizer: every bit of the input moves every bit of the output. */
function mix(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
