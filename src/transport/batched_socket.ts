import { ErrorQueue, ReceiveBatch, SendBatch } from "../../ffi/datagram_batch.ts";
import { EpollMute } from "../../ffi/epoll_mute.ts";
import { errnoText, receiveErrors } from "../../ffi/socket.ts";
import type { DatagramSocket, SocketSink } from "./datagram_socket.ts";
import { ReceivePump } from "./receive_pump.ts";
import { type EndpointCounters, SLOT_BYTES } from "./transport.ts";

const EAGAIN = 11;
const ENOBUFS = 105;
const ECONNREFUSED = 111;
const EHOSTUNREACH = 113;

const SEND_BATCH = 256;
/** The smallest amount of buffer memory that the kernel charges for a datagram. */
const SKB_BYTES = 512;
/** Datagrams read from one socket in one turn at most, so that a flood does not hold up the others. */
const TURN_LIMIT = 8_192;

// One turn handles one socket after the other: all can share the memory that they receive into.
let shared: { receive: ReceiveBatch; errors: ErrorQueue } | undefined;

/** A socket whose packets move in batches, through `recvmmsg` and `sendmmsg` on the runtime's descriptor. */
export class BatchedSocket implements DatagramSocket {
  readonly #receive: ReceiveBatch;
  readonly #errors: ErrorQueue;
  readonly #send: SendBatch;
  readonly #pump: ReceivePump;
  readonly #mute: EpollMute;
  /** Datagrams that can have been waiting when reading began. */
  readonly #backlog: number;
  #waking = false;
  /** Datagrams read since the socket was last seen empty. */
  #unread = 0;

  constructor(
    private readonly connection: Deno.DatagramConn,
    readonly fd: number,
    port: number,
    receiveBuffer: number,
    readonly counters: EndpointCounters,
    private readonly sink: SocketSink,
  ) {
    shared ??= { receive: new ReceiveBatch(256, SLOT_BYTES), errors: new ErrorQueue() };
    this.#receive = shared.receive;
    this.#errors = shared.errors;
    this.#send = new SendBatch(port, SLOT_BYTES, SEND_BATCH);
    this.#backlog = Math.ceil(receiveBuffer / SKB_BYTES);
    this.#mute = new EpollMute(fd);
    receiveErrors(fd);
    this.#pump = new ReceivePump(
      connection,
      (peer, bytes, length) => {
        this.counters.rxDatagrams++;
        sink.datagram(peer, bytes, 0, length);
        sink.arrived();
      },
      () => this.#readFailed(),
    );
  }

  get tx(): DataView {
    return this.#send.bytes;
  }

  claim(peer: number): number {
    if (this.#send.full) this.flush();
    return this.#send.claim(peer);
  }

  commit(length: number): void {
    this.#send.commit(length);
  }

  wakeOnArrival(on: boolean): void {
    this.#waking = on;
    this.#mute.mute(!on);
    this.#pump.want(on);
  }

  mute(on: boolean): void {
    this.#mute.mute(on || !this.#waking);
  }

  get epoll(): number {
    return this.#mute.epoll;
  }

  drain(): boolean {
    for (let read = 0; read < TURN_LIMIT;) {
      const count = this.#receive.receive(this.fd);
      if (count < 0) {
        if (count === -EAGAIN || !this.#readFailed()) return this.#emptied();
        continue;
      }
      this.#deliver(count);
      read += count;
      if (count < this.#receive.capacity) return this.#emptied();
    }
    // Under a flood the socket is never empty. What was waiting when reading began has been read once as
    // much has been read as its buffer can hold; then the silent may be judged all the same.
    this.#unread += TURN_LIMIT;
    return this.#unread >= this.#backlog && this.#emptied();
  }

  flush(): void {
    const batch = this.#send;
    for (let next = 0, retried = false; next < batch.count;) {
      const sent = batch.send(this.fd, next);
      if (sent > 0) {
        next += sent;
        this.counters.txDatagrams += sent;
        retried = false;
        continue;
      }
      // The error may be an earlier packet's, reported late; then this one was not tried at all.
      if (this.#takeErrors() > 0 && !retried) {
        retried = true;
        continue;
      }
      this.#sendFailed(batch.peer(next), -sent);
      next++;
      retried = false;
    }
    batch.clear();
  }

  close(): void {
    this.#pump.close();
    this.connection.close();
  }

  #deliver(count: number): void {
    const batch = this.#receive;
    const { bytes } = batch;
    this.counters.rxDatagrams += count;
    for (let i = 0; i < count; i++) {
      this.sink.datagram(batch.peer(i), bytes, i * SLOT_BYTES, batch.length(i));
    }
  }

  #emptied(): true {
    this.#unread = 0;
    return true;
  }

  /** A receive call failed: usually an ICMP error that waits. Returns whether another try makes sense. */
  #readFailed(): boolean {
    if (this.#takeErrors() > 0) return true;
    this.counters.readErrors++;
    return false;
  }

  #takeErrors(): number {
    return this.#errors.read(this.fd, (peer, errno) => this.#sendFailed(peer, errno));
  }

  #sendFailed(peer: number, errno: number): void {
    const { counters } = this;
    counters.writeErrors++;
    if (errno === ECONNREFUSED || errno === EHOSTUNREACH) counters.connectionRefused++;
    if (errno === ENOBUFS || errno === EAGAIN) counters.noBuffers++;
    this.sink.sendFailed(peer, errnoText(errno));
  }
}
