import type { Random } from "./random.ts";

/**
 * Randomness from the system. Jitter needs speed, not secrecy; a discriminator must not be guessed, since
 * it is what tells our peer's packets from somebody else's (RFC 5880 §9).
 */
export class SystemRandom implements Random {
  readonly #word = new Uint32Array(1);
  #state = this.discriminator() | 0;

  /** Marsaglia's xorshift: `Math.random()` would leave a heap number behind for each packet sent. */
  fraction(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) / 0x1_0000_0000;
  }

  discriminator(): number {
    do crypto.getRandomValues(this.#word); while (this.#word[0] === 0);
    return this.#word[0]!;
  }
}
