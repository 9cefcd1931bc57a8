/** The kernel's answers to requests, as they come in: each in a datagram of its own. */

import { ReceiveBatch } from "../../ffi/datagram_batch.ts";
import type { KernelCounters } from "./kernel.ts";
import { readMessages, type RtnetlinkMessage } from "./rtnetlink.ts";

/** Larger than any answer: with NETLINK_CAP_ACK it does not repeat the request. */
const ANSWER_SIZE = 1024;

/** What a bare acknowledgement takes: its header, the error 0, the request's header. */
const BARE_SIZE = 36;
const NLMSG_ERROR = 2;

export class Answers {
  readonly #batch: ReceiveBatch;
  /** The batch's memory in words of the kernel's byte order. */
  readonly #words: Uint32Array;
  readonly #counters: KernelCounters;

  /** @param capacity datagrams to receive at once */
  constructor(capacity: number, counters: KernelCounters) {
    this.#batch = new ReceiveBatch(capacity, ANSWER_SIZE);
    this.#words = new Uint32Array(this.#batch.bytes.buffer);
    this.#counters = counters;
  }

  /** Receives what is waiting: how many datagrams, or minus errno. */
  receive(descriptor: number): number {
    return this.#batch.receive(descriptor);
  }

  /** {@linkcode acknowledgedBy} datagram `i`. */
  acknowledged(i: number): number {
    return acknowledgedBy(this.#words, i * (ANSWER_SIZE / 4), this.#batch.length(i));
  }

  /** The messages in datagram `i`. */
  read(i: number): readonly RtnetlinkMessage[] {
    const size = Math.min(ANSWER_SIZE, this.#batch.length(i));
    const datagram = new Uint8Array(this.#batch.bytes.buffer, i * ANSWER_SIZE, size);
    const { messages, unreadable } = readMessages(datagram);
    this.#counters.unreadable += unreadable;
    return messages;
  }
}

/**
 * The sequence number of the request that a datagram acknowledges; -1 when it says anything else or more.
 * Most answers are such, and this makes no object of them.
 *
 * @param words memory in the byte order of this machine, as the kernel wrote it
 * @param at the word that the datagram begins with
 * @param size the datagram's, in bytes
 */
export function acknowledgedBy(words: Uint32Array, at: number, size: number): number {
  const bare = size === BARE_SIZE && words[at] === BARE_SIZE &&
    (words[at + 1] & 0xffff) === NLMSG_ERROR && words[at + 4] === 0;
  return bare ? words[at + 2] : -1;
}
