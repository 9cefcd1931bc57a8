import { ControlPacket, decode } from "../protocol/packet.ts";
import type { Clock } from "../scheduler/clock.ts";
import type { Loop } from "../scheduler/loop.ts";
import type { Endpoint, Receiver } from "../transport/transport.ts";
import type { SessionTable } from "./session_table.ts";

export interface PacketReceiverOptions {
  readonly clock: Clock;
  readonly loop: Loop;
  readonly table: SessionTable;
  readonly endpointChanged: (endpoint: Endpoint) => void;
}

/** One packet in this many is timed for `handle_rx_duration_seconds` (a power of two). */
const SAMPLE = 64;

/** The way of a datagram: from its bytes to the session that it belongs to. Allocates nothing. */
export class PacketReceiver implements Receiver {
  /** Datagrams for an endpoint whose last session is gone. */
  strayPackets = 0;
  readonly #options: PacketReceiverOptions;
  /** Every packet is read into this one. */
  readonly #packet = new ControlPacket();
  #count = 0;

  constructor(options: PacketReceiverOptions) {
    this.#options = options;
  }

  datagram(
    endpoint: Endpoint,
    peer: number,
    bytes: DataView,
    offset: number,
    length: number,
  ): void {
    const { loop, clock, table } = this.#options;
    loop.refresh();
    const end = table.endOf(endpoint);
    if (end === undefined) return void this.strayPackets++;
    const packet = this.#packet;
    const refusal = decode(bytes, offset, length, packet);
    if (refusal !== null) return void end.counters.rxInvalid[refusal]++;
    const entry = end.sessions.get(peer);
    if (entry === undefined) return void end.counters.unknownPeer++;
    if (packet.peerDiscr !== 0 && packet.peerDiscr !== entry.session.localDiscr) {
      end.counters.foreignDiscriminator++;
    }
    if ((++this.#count & (SAMPLE - 1)) !== 0) return entry.receive(packet, loop.now);
    const startedAt = clock.now();
    entry.receive(packet, loop.now);
    end.handleRx.observe((clock.now() - startedAt) / 1e6);
  }

  sendFailed(endpoint: Endpoint, peer: number, reason: string): void {
    const entry = this.#options.table.endOf(endpoint)?.sessions.get(peer);
    if (entry === undefined) return;
    entry.sendErrors++;
    entry.sendError = reason;
  }

  endpointChanged(endpoint: Endpoint): void {
    this.#options.endpointChanged(endpoint);
  }
}
