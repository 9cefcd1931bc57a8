/**
 * Many datagrams in one system call: `recvmmsg`, `sendmmsg` and the error queue of a UDP/IPv4 socket.
 *
 * Each batch owns the memory that its message headers point into. The typed arrays are fields, never
 * only addresses: memory whose owner is collected while C still points to it corrupts the process.
 */
import { libc } from "./libc.ts";

const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const MSG_ERRQUEUE = 0x2000;
const AF_INET = 2;

/** struct mmsghdr on 64-bit Linux: struct msghdr (56 bytes), msg_len, padding. */
const MMSGHDR = 64;
const NAME = 0, NAME_LENGTH = 8, IOVEC = 16, IOVEC_COUNT = 24, CONTROL = 32, CONTROL_LENGTH = 40;
const MESSAGE_LENGTH = 56;
/** struct iovec: base, length. */
const IOVEC_BYTES = 16;
/** struct sockaddr_in: family, port, address, padding. */
const SOCKADDR = 16;

/** Headers, names and slots for `capacity` datagrams, wired together once. */
class MessageArray {
  readonly headers: Uint8Array<ArrayBuffer>;
  readonly headerView: DataView<ArrayBuffer>;
  readonly names: Uint8Array<ArrayBuffer>;
  readonly nameView: DataView<ArrayBuffer>;
  readonly iovecs: Uint8Array<ArrayBuffer>;
  readonly iovecView: DataView<ArrayBuffer>;
  readonly slots: Uint8Array<ArrayBuffer>;
  readonly slotView: DataView<ArrayBuffer>;

  constructor(readonly capacity: number, readonly slotBytes: number) {
    this.headers = new Uint8Array(capacity * MMSGHDR);
    this.headerView = new DataView(this.headers.buffer);
    this.names = new Uint8Array(capacity * SOCKADDR);
    this.nameView = new DataView(this.names.buffer);
    this.iovecs = new Uint8Array(capacity * IOVEC_BYTES);
    this.iovecView = new DataView(this.iovecs.buffer);
    this.slots = new Uint8Array(capacity * slotBytes);
    this.slotView = new DataView(this.slots.buffer);
    const names = addressOf(this.names);
    const iovecs = addressOf(this.iovecs);
    const slots = addressOf(this.slots);
    for (let i = 0; i < capacity; i++) {
      this.iovecView.setBigUint64(i * IOVEC_BYTES, slots + BigInt(i * slotBytes), true);
      this.iovecView.setBigUint64(i * IOVEC_BYTES + 8, BigInt(slotBytes), true);
      const header = i * MMSGHDR;
      this.headerView.setBigUint64(header + NAME, names + BigInt(i * SOCKADDR), true);
      this.headerView.setUint32(header + NAME_LENGTH, SOCKADDR, true);
      this.headerView.setBigUint64(header + IOVEC, iovecs + BigInt(i * IOVEC_BYTES), true);
      this.headerView.setBigUint64(header + IOVEC_COUNT, 1n, true);
    }
  }
}

function addressOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}

/** Datagrams coming in. */
export class ReceiveBatch {
  readonly #messages: MessageArray;
  readonly #recvmmsg = libc().recvmmsg;
  readonly #errno = libc().errno;

  constructor(readonly capacity: number, readonly slotBytes: number) {
    this.#messages = new MessageArray(capacity, slotBytes);
  }

  /** The slots' memory; datagram `i` begins at `i * slotBytes`. */
  get bytes(): DataView {
    return this.#messages.slotView;
  }

  /**
   * Reads what is waiting, at most `capacity` datagrams, without blocking.
   *
   * @returns how many were read, or the negative errno (-11, EAGAIN, when nothing was waiting)
   */
  receive(fd: number): number {
    const { headers, capacity } = this.#messages;
    const count = this.#recvmmsg(fd, headers, capacity, MSG_DONTWAIT | MSG_TRUNC, null);
    return count < 0 ? -this.#errno() : count;
  }

  /** The true length of datagram `i`, also when it was longer than its slot. */
  length(i: number): number {
    return this.#messages.headerView.getUint32(i * MMSGHDR + MESSAGE_LENGTH, true);
  }

  /** The source address of datagram `i` as a signed 32-bit integer. */
  peer(i: number): number {
    return this.#messages.nameView.getInt32(i * SOCKADDR + 4);
  }
}

/** Datagrams going out to one port. Grows by doubling up to its limit. */
export class SendBatch {
  #messages: MessageArray;
  #count = 0;
  readonly #sendmmsg = libc().sendmmsg;
  readonly #errno = libc().errno;

  constructor(readonly port: number, readonly slotBytes: number, readonly limit: number) {
    this.#messages = this.#make(Math.min(limit, 8));
  }

  get bytes(): DataView {
    return this.#messages.slotView;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.limit;
  }

  /** Takes the next slot for `peer`, and returns its offset. There must be room. */
  claim(peer: number): number {
    if (this.#count === this.#messages.capacity) this.#grow();
    const i = this.#count++;
    this.#messages.nameView.setInt32(i * SOCKADDR + 4, peer);
    return i * this.slotBytes;
  }

  /** Sets the length of the datagram last claimed. */
  commit(length: number): void {
    this.#messages.iovecView.setUint32((this.#count - 1) * IOVEC_BYTES + 8, length, true);
  }

  peer(i: number): number {
    return this.#messages.nameView.getInt32(i * SOCKADDR + 4);
  }

  /**
   * Sends the datagrams from `first` on.
   *
   * @returns how many left, or the negative errno when the first of them did not
   */
  send(fd: number, first: number): number {
    const headers = first === 0
      ? this.#messages.headers
      : this.#messages.headers.subarray(first * MMSGHDR);
    const sent = this.#sendmmsg(fd, headers, this.#count - first, MSG_DONTWAIT);
    return sent < 0 ? -this.#errno() : sent;
  }

  clear(): void {
    this.#count = 0;
  }

  #make(capacity: number): MessageArray {
    const messages = new MessageArray(capacity, this.slotBytes);
    for (let i = 0; i < capacity; i++) {
      messages.nameView.setUint16(i * SOCKADDR, AF_INET, true);
      messages.nameView.setUint16(i * SOCKADDR + 2, this.port);
    }
    return messages;
  }

  #grow(): void {
    const old = this.#messages;
    const grown = this.#make(Math.min(this.limit, old.capacity * 2));
    grown.slots.set(old.slots);
    grown.names.set(old.names);
    for (let i = 0; i < old.capacity; i++) {
      const length = old.iovecView.getUint32(i * IOVEC_BYTES + 8, true);
      grown.iovecView.setUint32(i * IOVEC_BYTES + 8, length, true);
    }
    this.#messages = grown;
  }
}

/** Control message space: header (16), struct sock_extended_err (16), the offender's sockaddr_in (16). */
const ERROR_CONTROL = 64;

/** ICMP errors, each with the destination that it is about (`IP_RECVERR`). */
export class ErrorQueue {
  readonly #messages: MessageArray;
  readonly #control: Uint8Array<ArrayBuffer>;
  readonly #controlView: DataView<ArrayBuffer>;

  constructor(readonly capacity = 64) {
    this.#messages = new MessageArray(capacity, 8);
    this.#control = new Uint8Array(capacity * ERROR_CONTROL);
    this.#controlView = new DataView(this.#control.buffer);
    const control = addressOf(this.#control);
    for (let i = 0; i < capacity; i++) {
      const at = control + BigInt(i * ERROR_CONTROL);
      this.#messages.headerView.setBigUint64(i * MMSGHDR + CONTROL, at, true);
    }
  }

  /** Takes what is queued, at most `capacity` errors, and gives each to `handle`. Returns how many. */
  read(fd: number, handle: (peer: number, errno: number) => void): number {
    const { headers, headerView, nameView, capacity } = this.#messages;
    for (let i = 0; i < capacity; i++) {
      headerView.setBigUint64(i * MMSGHDR + CONTROL_LENGTH, BigInt(ERROR_CONTROL), true);
    }
    const flags = MSG_ERRQUEUE | MSG_DONTWAIT;
    const count = libc().recvmmsg(fd, headers, capacity, flags, null);
    for (let i = 0; i < count; i++) {
      const errno = this.#controlView.getUint32(i * ERROR_CONTROL + 16, true);
      handle(nameView.getInt32(i * SOCKADDR + 4), errno);
    }
    return Math.max(0, count);
  }
}

/** Which of many sockets have something to read: one system call for all. */
export class ReadySet {
  #descriptors: number[] = [];
  #pollfds = new Uint8Array(0);
  #view = new DataView(this.#pollfds.buffer);

  /** Replaces the sockets to ask about. */
  watch(descriptors: readonly number[]): void {
    this.#descriptors = [...descriptors];
    this.#pollfds = new Uint8Array(descriptors.length * 8);
    this.#view = new DataView(this.#pollfds.buffer);
    const POLLIN = 1;
    descriptors.forEach((fd, i) => {
      this.#view.setInt32(i * 8, fd, true);
      this.#view.setInt16(i * 8 + 4, POLLIN, true);
    });
  }

  /**
   * Asks; `ready(i)` answers for the i-th socket afterwards. Returns how many have something.
   *
   * @param timeoutMs how long to wait for one that has, with the whole isolate standing still
   * @param count how many of the sockets to ask about, from the first on
   */
  ask(timeoutMs = 0, count = this.#descriptors.length): number {
    return libc().poll(this.#pollfds, BigInt(count), timeoutMs);
  }

  /** Something to read, or an error to fetch. */
  ready(i: number): boolean {
    return this.#view.getInt16(i * 8 + 6, true) !== 0;
  }
}
