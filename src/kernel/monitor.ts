/**
 * Tells what others change, as soon as the kernel says so.
 *
 * ```
 *   kernel ──▶ socket ──▶ parked thread wakes the loop ──▶ slices of 64 notifications ──▶ listeners
 *                │                                            │
 *                └ overrun: told when the socket is empty      └ actors.ts: who was it?
 * ```
 *
 * After an overrun the kernel queues nothing more until the socket has been read empty, without saying
 * so a second time. Told earlier, listeners would list the routes and miss what came after.
 */

import { setImmediate } from "node:timers/promises";
import { NetlinkSocket } from "../../ffi/netlink_socket.ts";
import { Parking } from "../../ffi/parking.ts";
import type { Actors } from "./actors.ts";
import type { KernelChange } from "./change.ts";
import { errno } from "./errors.ts";
import type { KernelCounters } from "./kernel.ts";
import { readMessages, type RtnetlinkMessage } from "./rtnetlink.ts";

/** `RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR`, `RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV4_RULE`. */
const GROUPS = [1, 5, 7, 8];

/** Room for some 30,000 notifications; the kernel takes the memory only when it queues them. */
export const CHANGE_BUFFER = 16 << 20;

/** Larger than any notification: that of a link with many virtual functions takes some 20 KiB. */
const NOTIFICATION_SIZE = 64 * 1024;

/** Notifications told in one turn of the loop. */
const SLICE = 64;

const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x10000;

/** What the monitor needs around it. */
export interface MonitorOptions {
  /** Port id of the socket whose changes are our own: nobody is told of them. */
  readonly ownPort: number;
  /** Whether the kernel keeps back what we would only throw away: each would wake the loop. */
  readonly keepBack: boolean;
  readonly actors: Actors;
  readonly counters: KernelCounters;
  readonly tell: (change: KernelChange) => void;
  /** Room for notifications in bytes. */
  readonly bufferSize: number;
}

/** Runs from when it is made until it is closed. */
export class Monitor {
  readonly #options: MonitorOptions;
  readonly #socket: NetlinkSocket;
  readonly #parking: Parking;
  readonly #notification = new Uint8Array(NOTIFICATION_SIZE);
  /** Notifications were lost, which nobody has been told yet. */
  #overrun = false;
  #closed = false;

  /**
   * @throws {NetlinkError} when the kernel grants no netlink socket
   * @throws {Error} when the process has no descriptor left
   */
  constructor(options: MonitorOptions) {
    this.#options = options;
    const { bufferSize, ownPort, keepBack } = options;
    this.#socket = new NetlinkSocket({
      bufferSize,
      groups: GROUPS,
      ...keepBack && { withoutPort: ownPort },
    });
    try {
      this.#parking = new Parking(this.#socket.descriptor);
    } catch (error) {
      this.#socket[Symbol.dispose]();
      throw error;
    }
    this.#watch();
  }

  /** Nothing is told after this; the thread and the sockets go in a moment. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parking.wake();
  }

  async #watch(): Promise<void> {
    while (!this.#closed) {
      while (!this.#readSlice()) await setImmediate();
      if (!this.#closed) await this.#parking.wait();
    }
    this.#parking[Symbol.dispose]();
    this.#socket[Symbol.dispose]();
  }

  /** Reads and tells a slice; says whether the socket is empty. */
  #readSlice(): boolean {
    for (let read = 0; read < SLICE; read++) {
      if (this.#closed) return true;
      const size = this.#socket.receive(this.#notification);
      if (size === -errno.ENOBUFS) this.#overrun = true;
      else if (size >= 0) this.#read(size);
      else if (size !== -errno.EINTR) return this.#emptied();
    }
    return false;
  }

  #emptied(): true {
    this.#options.actors.caughtUp();
    if (this.#overrun) {
      this.#overrun = false;
      this.#options.counters.changeOverruns++;
      this.#options.tell({ kind: "overrun" });
    }
    return true;
  }

  #read(size: number): void {
    const { counters, ownPort, tell } = this.#options;
    if (size > NOTIFICATION_SIZE) {
      counters.unreadable++;
      this.#overrun = true; // What it said is as lost as if it had found no room.
      return;
    }
    const { messages, ignored, unreadable } = readMessages(this.#notification.subarray(0, size));
    counters.ignored += ignored;
    counters.unreadable += unreadable;
    for (const message of messages) {
      if (message.port === ownPort) continue;
      const change = this.#changeOf(message);
      if (change === null) continue;
      counters.changes++;
      tell(change);
    }
  }

  #changeOf(message: RtnetlinkMessage): KernelChange | null {
    if (message.kind === "answer" || message.kind === "done") return null;
    const actor = this.#options.actors.of(message.port);
    switch (message.kind) {
      case "route": {
        const kind = message.change === "new" ? "route_added" : "route_removed";
        const { route, unicast, replaced } = message;
        return { kind, route, unicast, replaced, actor };
      }
      case "link": {
        const { kind, ifindex, name, present, flags } = message;
        const adminUp = present && (flags & IFF_UP) !== 0;
        const up = adminUp && (flags & IFF_LOWER_UP) !== 0;
        return { kind, ifindex, name, present, up, adminUp, actor };
      }
      case "address": {
        const { kind, ifindex, address, prefixLength, present } = message;
        return { kind, ifindex, address, prefixLength, present, actor };
      }
      case "rule": {
        const { kind, mark, table, priority, protocol, present } = message;
        return { kind, mark, table, priority, protocol, present, actor };
      }
    }
  }
}
