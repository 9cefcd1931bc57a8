/** Control packets for tests that send them without a daemon. */

/** Bytes of a control packet. */
export const encodedLength = 40;

/** A valid packet, 200 ms and multiplier 3, as hexadecimal. Written here from the description, not by our encoder. */
export function packetHex(of: { state: number; mine: number; yours: number }): string {
  const bytes = new DataView(new ArrayBuffer(encodedLength));
  bytes.setUint8(0, 1 << 5);
  bytes.setUint8(1, of.state << 6);
  bytes.setUint8(2, 3);
  bytes.setUint8(3, encodedLength);
  bytes.setUint32(4, of.mine);
  bytes.setUint32(8, of.yours);
  bytes.setUint32(12, 200_000);
  bytes.setUint32(16, 200_000);
  return new Uint8Array(bytes.buffer).toHex();
}
