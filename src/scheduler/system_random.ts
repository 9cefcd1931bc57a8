import type { Random } from "./random.ts";

/**
 * Randomness from the system. Jitter needs speed, not secrecy; a discriminator must not be guessed, since
 * it is what tells our peer's packets from somebody else's (RFC 5880 §9).
 */
export class SystemRandom implements Random {
  readonly #word = new Uint32Array(1);

  fraction(): number {
    return Math.random();
  }

  discriminator(): number {
    do crypto.getRandomValues(this.#word); while (this.#word[0] === 0);
    return this.#word[0]!;
  }
}
