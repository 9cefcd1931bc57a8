/** IPv4 addresses as signed 32-bit integers: small integers to the engine, cheap as map keys. */

/** `10.0.0.1` as an integer. The text must be a canonical dotted quad, which validation has ensured. */
export function addressKey(address: string): number {
  const [a, b, c, d] = address.split(".").map(Number) as [number, number, number, number];
  return (a << 24) | (b << 16) | (c << 8) | d;
}

/** The dotted quad of a key. */
export function addressText(key: number): string {
  return `${key >>> 24}.${(key >>> 16) & 255}.${(key >>> 8) & 255}.${key & 255}`;
}
