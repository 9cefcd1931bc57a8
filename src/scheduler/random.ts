/** The randomness seam: jitter, discriminators and spreading. Seeded in simulations. */
export interface Random {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** Uniform in 1..2^32-1: a discriminator must not be zero (RFC 5880 §6.8.1). */
  discriminator(): number;
}
