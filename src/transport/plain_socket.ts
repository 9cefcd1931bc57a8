import { addressText } from "./address.ts";
import type { DatagramSocket, SocketSink } from "./datagram_socket.ts";
import { ReceivePump } from "./receive_pump.ts";
import { type EndpointCounters, SLOT_BYTES } from "./transport.ts";

/** Slots of the outgoing batch. */
const SLOTS = 64;
/** Turns in a row without having seen the socket empty, after which the silent are judged all the same. */
const PATIENCE = 200;

/**
 * A socket whose packets move one by one, through the runtime's `receive()` and `send()`: the fallback
 * where batched calls are missing. It costs more per packet and allocates for each.
 */
export class PlainSocket implements DatagramSocket {
  readonly tx = new DataView(new ArrayBuffer(SLOTS * SLOT_BYTES));
  readonly #peers = new Int32Array(SLOTS);
  readonly #lengths = new Int32Array(SLOTS);
  readonly #pump: ReceivePump;
  #claimed = 0;
  #begunAtLastDrain = -1;
  #unjudged = 0;

  constructor(
    private readonly connection: Deno.DatagramConn,
    readonly fd: number,
    private readonly port: number,
    readonly counters: EndpointCounters,
    private readonly sink: SocketSink,
  ) {
    this.#pump = new ReceivePump(
      connection,
      (peer, bytes, length) => {
        this.counters.rxDatagrams++;
        sink.datagram(peer, bytes, 0, length);
        sink.arrived();
      },
      () => void this.counters.readErrors++,
    );
    this.#pump.want(true);
  }

  claim(peer: number): number {
    if (this.#claimed === SLOTS) this.flush();
    this.#peers[this.#claimed] = peer;
    return this.#claimed++ * SLOT_BYTES;
  }

  commit(length: number): void {
    this.#lengths[this.#claimed - 1] = length;
  }

  readonly epoll = -1;

  mute(): void {}

  /** There is no other way to receive than to wait for it. */
  wakeOnArrival(): void {
    this.#pump.want(true);
  }

  /**
   * Nothing can be read at once here. The socket has been seen empty when the same `receive()` waits as
   * at the last turn: had a datagram been there, the runtime would have delivered it in between.
   */
  drain(): boolean {
    this.#pump.want(true);
    const empty = this.#pump.begun === this.#begunAtLastDrain;
    this.#begunAtLastDrain = this.#pump.begun;
    this.#unjudged = empty ? 0 : this.#unjudged + 1;
    return empty || this.#unjudged > PATIENCE;
  }

  flush(): void {
    for (let i = 0; i < this.#claimed; i++) {
      const start = i * SLOT_BYTES;
      // The runtime sends later, from memory that it keeps: each packet gets its own.
      const packet = new Uint8Array(this.tx.buffer.slice(start, start + this.#lengths[i]!));
      this.#sendOne(packet, this.#peers[i]!);
    }
    this.#claimed = 0;
  }

  close(): void {
    this.#pump.close();
    this.connection.close();
  }

  async #sendOne(packet: Uint8Array, peer: number, isSecond = false): Promise<void> {
    const to = { transport: "udp", hostname: addressText(peer), port: this.port } as const;
    try {
      await this.connection.send(packet, to);
      this.counters.txDatagrams++;
    } catch (error) {
      const refused = error instanceof Deno.errors.ConnectionRefused;
      this.counters.writeErrors++;
      if (refused) this.counters.connectionRefused++;
      this.sink.sendFailed(peer, error instanceof Error ? error.message : String(error));
      // A refusal is an earlier packet's, reported late: this one was not tried at all.
      if (refused && !isSecond) await this.#sendOne(packet, peer, true);
    }
  }
}
