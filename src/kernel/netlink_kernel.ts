/**
 * The kernel's routing table through libnl.
 *
 * ```
 *   replace() ┐         a slice per turn of the loop:                      ┌▶ promise
 *   delete()  ├▶ queue ─▶ 64 requests, one buffer, one send ─▶ 64 answers ─┤   by sequence
 *   addRule() ┘                                                            └▶ number
 *   list()    ──▶ queue ─▶ dump, on a socket of its own (route_dump.ts)
 *   subscribe() ◀── changes by others, on a socket of its own (monitor.ts)
 * ```
 *
 * rtnetlink carries requests out inside send(): when it returns, every answer waits in the socket.
 * The queue keeps the order of requests; a list sees all that was asked for before it, and later
 * requests do not wait for it to end.
 */

import { setImmediate } from "node:timers";
import {
  errnoText,
  interfaceIndex,
  libnlText,
  NetlinkError,
  RequestWriter,
} from "../../ffi/netlink.ts";
import { NetlinkSocket } from "../../ffi/netlink_socket.ts";
import { Actors } from "./actors.ts";
import { Answers } from "./answers.ts";
import { MissingCapability } from "./capability.ts";
import type { KernelChangeListener } from "./change.ts";
import { type Change, ChangeWriter } from "./change_writer.ts";
import { busyRequest, closedError, errno, isFailure, kernelError } from "./errors.ts";
import {
  type Kernel,
  type KernelCounters,
  kernelCounters,
  type KernelError,
  type KernelResult,
  type ListResult,
  type MarkRule,
  type RouteFilter,
} from "./kernel.ts";
import { CHANGE_BUFFER, Monitor } from "./monitor.ts";
import { ProcFs } from "./process_table.ts";
import type { Route } from "./route.ts";
import { RouteDump } from "./route_dump.ts";
import type { AnswerMessage } from "./rtnetlink.ts";
import { Subscribers } from "./subscribers.ts";

export { MissingLibrary } from "../../ffi/library.ts";
export { MissingCapability } from "./capability.ts";

/** Requests carried out in one turn of the loop: at 5 to 15 µs each, under 1 ms. */
const SLICE = 64;

/** Room for the answers to a slice; each takes the kernel less than 1 KiB of it. */
const ANSWER_BUFFER = 1 << 20;

const ok: KernelResult = { ok: true };

const answerLost = busyRequest("the kernel's answer was lost (receive queue overrun)");

interface WaitingChange {
  readonly change: Change;
  readonly settle: (result: KernelResult) => void;
}

interface WaitingList {
  readonly filter: RouteFilter;
  readonly settle: (result: ListResult | Promise<ListResult>) => void;
}

/** Choices at opening. */
export interface NetlinkKernelOptions {
  /** Lets the kernel filter lists where it can (the default); tests compare with its refusal. */
  readonly strictCheck?: boolean;
  /** Room for answers in bytes, 1 MiB unless told; a test makes them overrun it. */
  readonly answerBuffer?: number;
  /** Room for notifications in bytes, 16 MiB unless told; a test makes them overrun it. */
  readonly changeBuffer?: number;
  /** Has the kernel keep back notifications of our own changes (the default). */
  readonly keepBack?: boolean;
}

/** {@linkcode Kernel} over rtnetlink. Nothing of it keeps the event loop alive once all is answered. */
export class NetlinkKernel implements Kernel {
  readonly counters: KernelCounters = kernelCounters();

  readonly #socket: NetlinkSocket;
  readonly #actors = new Actors(new ProcFs(), () => performance.now());
  readonly #subscribers = new Subscribers();
  readonly #options: NetlinkKernelOptions;
  #monitor: Monitor | null = null;
  readonly #writer: RequestWriter;
  readonly #dump: RouteDump;
  readonly #changes: ChangeWriter;
  readonly #answers = new Answers(SLICE, this.counters);
  #queue: (WaitingChange | WaitingList)[] = [];
  /** Where the queue begins: what is before it has been carried out. */
  #head = 0;
  #sequence = 0;
  #scheduled = false;
  #closed = false;

  private constructor(options: NetlinkKernelOptions) {
    const { strictCheck = true, answerBuffer = ANSWER_BUFFER } = options;
    this.#options = options;
    this.#socket = new NetlinkSocket({ bufferSize: answerBuffer });
    this.#writer = new RequestWriter();
    this.#changes = new ChangeWriter(this.#writer, SLICE);
    this.#dump = new RouteDump(this.#writer, this.counters, strictCheck);
  }

  /**
   * Loads libnl, connects to the kernel of this network namespace and asks it whether routes may be
   * changed.
   *
   * @throws {MissingLibrary} without libnl-3 or libnl-route-3
   * @throws {MissingCapability} without CAP_NET_ADMIN
   * @throws {NetlinkError} when the kernel grants no netlink socket
   */
  static open(options: NetlinkKernelOptions = {}): NetlinkKernel {
    const kernel = new NetlinkKernel(options);
    try {
      kernel.#requireCapability();
      return kernel;
    } catch (error) {
      kernel.close();
      throw error;
    }
  }

  replace(route: Route): Promise<KernelResult> {
    return this.#request({ kind: "replace", route });
  }

  delete(route: Route): Promise<KernelResult> {
    return this.#request({ kind: "delete", route });
  }

  addRule(rule: MarkRule): Promise<KernelResult> {
    return this.#request({ kind: "addRule", rule });
  }

  deleteRule(rule: MarkRule): Promise<KernelResult> {
    return this.#request({ kind: "deleteRule", rule });
  }

  async list(filter: RouteFilter): Promise<ListResult> {
    const result = await new Promise<ListResult>((settle) => this.#enqueue({ filter, settle }));
    if (!result.ok) this.counters.failures++;
    return result;
  }

  ifindex(dev: string): number {
    return interfaceIndex(dev);
  }

  subscribe(listener: KernelChangeListener): Disposable {
    if (this.#closed) throw new Error(closedError.text);
    this.#monitor ??= this.#startMonitor();
    return this.#subscribers.add(listener, () => {
      if (this.#subscribers.size === 0) this.#endMonitor();
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscribers.clear();
    this.#endMonitor();
    for (const waiting of this.#queue.slice(this.#head)) this.#refuse(waiting, closedError);
    this.#queue = [];
    this.#head = 0;
    this.#dump.close();
    this.#socket[Symbol.dispose]();
  }

  get pending(): number {
    return this.#queue.length - this.#head + this.#dump.pending;
  }

  /** Settles when the processes that can change routes now are known, to be named at once later. */
  acquainted(): Promise<void> {
    return this.#actors.acquaint();
  }

  #startMonitor(): Monitor {
    const monitor = new Monitor({
      ownPort: this.#socket.port, // The only one that changes anything.
      keepBack: this.#options.keepBack ?? true,
      actors: this.#actors,
      counters: this.counters,
      tell: (change) => this.#subscribers.tell(change),
      bufferSize: this.#options.changeBuffer ?? CHANGE_BUFFER,
    });
    this.acquainted();
    return monitor;
  }

  #endMonitor(): void {
    this.#monitor?.close();
    this.#monitor = null;
  }

  #request(change: Change): Promise<KernelResult> {
    return new Promise((settle) => this.#enqueue({ change, settle }));
  }

  #enqueue(waiting: WaitingChange | WaitingList): void {
    this.counters.requests++;
    if (this.#closed) return this.#refuse(waiting, closedError);
    this.#queue.push(waiting);
    this.#schedule();
  }

  #refuse(waiting: WaitingChange | WaitingList, error: KernelError): void {
    if ("change" in waiting && isFailure(waiting.change.kind, error)) this.counters.failures++;
    waiting.settle({ ok: false, error });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#closed) return;
      this.#carryOut(this.#takeSlice());
      if (this.#head < this.#queue.length) this.#schedule();
    });
  }

  /** The requests of this turn. A list is begun when it is alone at the head: after all before it. */
  #takeSlice(): WaitingChange[] {
    const slice: WaitingChange[] = [];
    while (this.#head < this.#queue.length && slice.length < SLICE) {
      const waiting = this.#queue[this.#head];
      if ("filter" in waiting) {
        if (slice.length > 0) break;
        waiting.settle(this.#dump.list(waiting.filter));
      } else {
        slice.push(waiting);
      }
      this.#head++;
    }
    if (this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return slice;
  }

  /** Sends a slice's requests in one call and gives each its answer. */
  #carryOut(slice: readonly WaitingChange[]): void {
    const writer = this.#changes;
    writer.begin();
    const first = (this.#sequence + 1) >>> 0;
    const sent: WaitingChange[] = [];
    for (const waiting of slice) {
      const error = writer.write(waiting.change, (first + sent.length) >>> 0);
      if (error === null) sent.push(waiting);
      else this.#refuse(waiting, error);
    }
    if (sent.length === 0) return;
    this.#sequence = (this.#sequence + sent.length) >>> 0;
    const refused = this.#socket.send(writer.messages, writer.size);
    if (refused < 0) {
      const error = busyRequest(libnlText(refused));
      for (const waiting of sent) this.#refuse(waiting, error);
    } else {
      this.#receiveAnswers(first, sent);
    }
  }

  #receiveAnswers(first: number, sent: (WaitingChange | null)[]): void {
    const answers = this.#answers;
    let missing = sent.length;
    while (missing > 0) {
      const count = answers.receive(this.#socket.descriptor);
      if (count === -errno.ENOBUFS) this.counters.overruns++;
      if (count === -errno.ENOBUFS || count === -errno.EINTR) continue;
      if (count < 0) break;
      for (let i = 0; i < count; i++) {
        const acknowledged = answers.acknowledged(i);
        if (acknowledged >= 0) {
          if (this.#settle(first, sent, acknowledged, null)) missing--;
          continue;
        }
        for (const message of answers.read(i)) {
          if (message.kind !== "answer") continue;
          if (this.#settle(first, sent, message.seq, message)) missing--;
        }
      }
    }
    if (missing === 0) return;
    for (const waiting of sent) if (waiting !== null) this.#refuse(waiting, answerLost);
  }

  /** Gives the request with this sequence number its answer. Says whether it waited for one. */
  #settle(
    first: number,
    sent: (WaitingChange | null)[],
    sequence: number,
    answer: AnswerMessage | null,
  ): boolean {
    const index = (sequence - first) >>> 0;
    const waiting = sent[index] ?? null;
    if (waiting === null) return false;
    sent[index] = null;
    const number = answer?.errno ?? 0;
    const there = number === errno.EEXIST && waiting.change.kind === "addRule";
    if (number === 0 || there) waiting.settle(ok);
    else this.#refuse(waiting, kernelError(number, errnoText(number), answer?.text));
    return true;
  }

  #requireCapability(): void {
    const { messages } = this.#changes;
    const size = this.#writer.probe(this.#sequence, messages);
    const refused = this.#socket.send(messages, size);
    if (refused < 0) throw new NetlinkError(refused, "cannot ask the kernel anything");
    const received = this.#answers.receive(this.#socket.descriptor);
    for (const message of received > 0 ? this.#answers.read(0) : []) {
      if (message.kind !== "answer") continue;
      if (message.errno === errno.EPERM) throw new MissingCapability();
      return;
    }
    throw new NetlinkError(-4, /* NLE_AGAIN */ "the kernel does not answer");
  }
}
