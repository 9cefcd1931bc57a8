import type { ClientVersion } from "./version.ts";

/** Session state, with the values of the packet's state field (RFC 5880 §4.1). */
export const State = { AdminDown: 0, Down: 1, Init: 2, Up: 3 } as const;
export type State = typeof State[keyof typeof State];

/** State names as metrics, events and the API spell them, indexed by {@linkcode State}. */
export const STATE_NAMES = ["admin_down", "down", "init", "up"] as const;
export type StateName = typeof STATE_NAMES[number];

/** Length of the control packet in bytes. */
export const PACKET_BYTES = 40;

/** Flags bit 0: the sender observes and does not manage routes. */
export const FLAG_PASSIVE = 1;

/** Protocol version in the first byte's top three bits (RFC 5880 §4.1). */
const PROTOCOL_VERSION = 1;

/** Why a datagram is not a control packet; the words of `control_packets_rx_invalid_total`. */
export type Refusal = "short" | "bad_len" | "bad_version" | "bad_detect_mult";

/**
 * The control packet: RFC 5880's mandatory section with the length set to 40, big endian.
 *
 * ```text
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * |Vers |    0    |Sta|     0     |  Detect Mult  |  Length = 40  |
 * |                      Local Discriminator                      |
 * |                      Peer Discriminator                       |
 * |                Desired Min TX Interval (µs)                   |
 * |                Required Min RX Interval (µs)                  |
 * |0 0 0 0 0 0 0|P|     Major     |     Minor     |     Patch     |
 * |    Channel    |                Reserved (15 bytes)            |
 * +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 * ```
 *
 * One instance is reused for every datagram that is read: the receive path allocates nothing.
 */
export class ControlPacket {
  state: State = State.Down;
  /** The sender's detect multiplier, 1..255. */
  detectMult = 1;
  /** The sender's discriminator. */
  localDiscr = 0;
  /** Our discriminator as the sender learned it; 0 while unknown. */
  peerDiscr = 0;
  /** µs, 0..2^32-1. */
  desiredMinTxUs = 0;
  /** µs, 0..2^32-1. */
  requiredMinRxUs = 0;
  flags = 0;
  clientVersion: ClientVersion = 0;

  get passive(): boolean {
    return (this.flags & FLAG_PASSIVE) !== 0;
  }
}

/**
 * Reads the datagram of `length` bytes at `offset` into `packet`.
 *
 * @returns `null` when it is a control packet; otherwise why not, and `packet` is left as it was.
 * Only the first 40 bytes are read: longer datagrams are accepted and their tail ignored.
 */
export function decode(
  bytes: DataView,
  offset: number,
  length: number,
  packet: ControlPacket,
): Refusal | null {
  if (length < PACKET_BYTES) return "short";
  if (bytes.getUint8(offset + 3) !== PACKET_BYTES) return "bad_len";
  if (bytes.getUint8(offset) >>> 5 !== PROTOCOL_VERSION) return "bad_version";
  const detectMult = bytes.getUint8(offset + 2);
  if (detectMult === 0) return "bad_detect_mult";
  packet.state = (bytes.getUint8(offset + 1) >>> 6) as State;
  packet.detectMult = detectMult;
  packet.localDiscr = bytes.getUint32(offset + 4);
  packet.peerDiscr = bytes.getUint32(offset + 8);
  packet.desiredMinTxUs = bytes.getUint32(offset + 12);
  packet.requiredMinRxUs = bytes.getUint32(offset + 16);
  packet.flags = bytes.getUint8(offset + 20);
  packet.clientVersion = bytes.getInt32(offset + 21);
  return null;
}

/** Writes `packet` as 40 bytes at `offset`; every reserved bit is sent as 0. */
export function encode(packet: ControlPacket, bytes: DataView, offset: number): void {
  bytes.setUint8(offset, PROTOCOL_VERSION << 5);
  bytes.setUint8(offset + 1, packet.state << 6);
  bytes.setUint8(offset + 2, packet.detectMult);
  bytes.setUint8(offset + 3, PACKET_BYTES);
  bytes.setUint32(offset + 4, packet.localDiscr);
  bytes.setUint32(offset + 8, packet.peerDiscr);
  bytes.setUint32(offset + 12, packet.desiredMinTxUs);
  bytes.setUint32(offset + 16, packet.requiredMinRxUs);
  bytes.setUint8(offset + 20, packet.flags);
  bytes.setInt32(offset + 21, packet.clientVersion);
  bytes.setUint8(offset + 25, 0);
  bytes.setUint16(offset + 26, 0);
  bytes.setFloat64(offset + 28, 0);
  bytes.setInt32(offset + 36, 0);
}
