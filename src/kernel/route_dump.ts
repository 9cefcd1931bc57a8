/**
 * Listing the kernel's routes without holding up the loop. The kernel filters; where it does that, it
 * walks through all that it leaves out inside one system call (10 ms for 200,000 routes), and so the
 * calls are made in a thread. Between two parts (32 KiB, some 500 routes) the loop turns.
 */

import { errnoText, REQUEST_SIZE, type RequestWriter } from "../../ffi/netlink.ts";
import { NetlinkSocket } from "../../ffi/netlink_socket.ts";
import { busyRequest, closedError, errno, kernelError } from "./errors.ts";
import type { KernelCounters, KernelError, ListResult, RouteFilter } from "./kernel.ts";
import { RouteList } from "./route_list.ts";
import {
  type AnswerMessage,
  type DoneMessage,
  type MessageSink,
  type NoticeMessage,
  readInto,
} from "./rtnetlink.ts";
import type { RouteRecord } from "./rtnetlink_route.ts";

/** Larger than any part of a dump: the kernel makes them 32 KiB at most. */
const PART_SIZE = 64 * 1024;

/** How often a dump that a change disturbed is begun anew. */
const ATTEMPTS = 4;

const disturbed = busyRequest(
  `the routing table changed while it was read, ${ATTEMPTS} times in a row`,
);

/** One dump's end: whole, disturbed by a change, or failed. */
type Outcome = ListResult | "disturbed";

/** The dump socket and its buffer; one dump at a time, later ones wait for it. */
export class RouteDump {
  readonly #writer: RequestWriter;
  readonly #counters: KernelCounters;
  readonly #strictCheck: boolean;
  readonly #part = new Uint8Array(PART_SIZE);
  readonly #request = new Uint8Array(REQUEST_SIZE);
  #socket: NetlinkSocket | null = null;
  #sequence = 0;
  /** Lists that are not answered yet. */
  pending = 0;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @param strictCheck whether to let the kernel filter, if it can */
  constructor(writer: RequestWriter, counters: KernelCounters, strictCheck: boolean) {
    this.#writer = writer;
    this.#counters = counters;
    this.#strictCheck = strictCheck;
  }

  /** Lists the routes after what was asked for before. */
  list(filter: RouteFilter): Promise<ListResult> {
    this.pending++;
    const result = this.#last.then(() => this.#list(filter));
    this.#last = result.then(() => this.pending--);
    return result;
  }

  /** Dumps that run or wait answer `closed`; the socket goes when no thread uses it any more. */
  close(): void {
    this.#closed = true;
    this.#last = this.#last.then(() => this.#disconnect());
  }

  async #list(filter: RouteFilter): Promise<ListResult> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const outcome = await this.#dump(filter);
      if (outcome !== "disturbed") {
        // A dump that broke off leaves its rest behind in the socket.
        if (!outcome.ok) this.#disconnect();
        return outcome;
      }
    }
    return failed(disturbed);
  }

  async #dump(filter: RouteFilter): Promise<Outcome> {
    if (this.#closed) return failed(closedError);
    this.#counters.dumps++;
    let socket: NetlinkSocket;
    try {
      socket = this.#connect();
    } catch (error) {
      return failed(busyRequest(error instanceof Error ? error.message : String(error)));
    }
    const sequence = this.#sequence = (this.#sequence + 1) >>> 0;
    const { table = 0, protocol = 0 } = socket.strictCheck ? filter : {};
    const size = this.#writer.dumpRoutes({ table, protocol }, sequence, this.#request);
    if (await socket.sendInThread(this.#request, size) < 0) {
      return failed(busyRequest("the kernel did not take the request to list routes"));
    }
    return await this.#receive(socket, new Dump(sequence, filter));
  }

  async #receive(socket: NetlinkSocket, dump: Dump): Promise<Outcome> {
    while (dump.outcome === null) {
      const size = await socket.receiveInThread(this.#part);
      if (this.#closed) return failed(closedError);
      if (size < 0) return failed(busyRequest("the kernel's list of routes broke off"));
      const before = dump.unreadable;
      readInto(dump, this.#part.subarray(0, size));
      this.#counters.unreadable += dump.unreadable - before;
      if (size > PART_SIZE) return failed(busyRequest("a part of the list of routes was cut off"));
    }
    return dump.outcome;
  }

  #connect(): NetlinkSocket {
    return this.#socket ??= new NetlinkSocket({
      bufferSize: 4 * PART_SIZE,
      strictCheck: this.#strictCheck,
    });
  }

  #disconnect(): void {
    this.#socket?.[Symbol.dispose]();
    this.#socket = null;
  }
}

/** What the parts of one dump add up to. */
export class Dump implements MessageSink {
  ignored = 0;
  unreadable = 0;
  /** `null` until its end has been read. */
  outcome: Outcome | null = null;
  readonly #sequence: number;
  /** What passes, `null` for any: the kernel may not have filtered. */
  readonly #protocol: number | null;
  readonly #table: number | null;
  readonly #routes = new RouteList();
  #whole = true;

  constructor(sequence: number, { table, protocol }: RouteFilter) {
    this.#sequence = sequence;
    this.#protocol = protocol ?? null;
    this.#table = table === undefined ? null : table | 0;
  }

  route(record: RouteRecord): void {
    if (record.seq !== this.#sequence || this.outcome !== null) return;
    if (record.interrupted) this.#whole = false;
    if (record.unicast && this.#passes(record)) this.#routes.add(record);
  }

  other(message: AnswerMessage | DoneMessage | NoticeMessage): void {
    if (message.seq !== this.#sequence || this.outcome !== null) return;
    if (message.interrupted) this.#whole = false;
    if (message.kind === "answer" || message.kind === "done") this.outcome = this.#end(message);
  }

  #end({ kind, errno: number, text }: AnswerMessage | DoneMessage): Outcome | null {
    // The table does not exist: nothing was ever put into it.
    if (number === errno.ENOENT) return { ok: true, routes: new RouteList() };
    if (number !== 0) return failed(kernelError(number, errnoText(number), text));
    if (kind === "answer") return null;
    return this.#whole ? { ok: true, routes: this.#routes } : "disturbed";
  }

  #passes(record: RouteRecord): boolean {
    return (this.#table === null || record.table === this.#table) &&
      (this.#protocol === null || record.protocol === this.#protocol);
  }
}

function failed(error: KernelError): { readonly ok: false; readonly error: KernelError } {
  return { ok: false, error };
}
