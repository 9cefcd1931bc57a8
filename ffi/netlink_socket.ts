/** rtnetlink sockets through libnl: bytes out, bytes in. */

import { type Libnl, openLibnl } from "./libnl.ts";
import { allocated, NetlinkError } from "./netlink.ts";

const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SO_ATTACH_FILTER = 26;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const BPF_LD_W_ABS = 0x20;
const BPF_JMP_JEQ_K = 0x15;
const BPF_RET_K = 0x06;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;

/** How a {@linkcode NetlinkSocket} is to be set up. */
export interface SocketOptions {
  /** Receive and send buffer in bytes; the kernel may grant less. */
  readonly bufferSize: number;
  /** Asks the kernel to check and obey the filters of dump requests (Linux 4.20 and later). */
  readonly strictCheck?: boolean;
  /** Multicast groups (`RTNLGRP_*`) whose notifications the socket is to get. */
  readonly groups?: readonly number[];
  /** Has the kernel keep back notifications of what the socket with this port id asked for. */
  readonly withoutPort?: number;
}

/** A connected rtnetlink socket. */
export class NetlinkSocket implements Disposable {
  readonly #lib: Libnl;
  #handle: Deno.PointerValue;
  readonly #fd: number;
  readonly #errno: Int32Array;
  /** Whether the kernel obeys dump filters on this socket. */
  readonly strictCheck: boolean;

  /**
   * @throws {MissingLibrary} without libnl
   * @throws {NetlinkError} when the kernel grants no such socket
   */
  constructor(options: SocketOptions) {
    const { bufferSize, strictCheck = false, groups = [], withoutPort } = options;
    this.#lib = openLibnl();
    const { core } = this.#lib;
    this.#handle = allocated(core.nl_socket_alloc());
    const connected = core.nl_connect(this.#handle, NETLINK_ROUTE);
    if (connected < 0) {
      this[Symbol.dispose]();
      throw new NetlinkError(connected, "cannot open a netlink socket");
    }
    this.#fd = core.nl_socket_get_fd(this.#handle);
    // What it granted matters little: an overrun is noticed, not assumed away.
    core.nl_socket_set_buffer_size(this.#handle, bufferSize, bufferSize);
    // Beyond the system's limit where we may.
    this.#set(SOL_SOCKET, SO_RCVBUFFORCE, bufferSize);
    this.#enable(NETLINK_CAP_ACK);
    this.#enable(NETLINK_EXT_ACK);
    this.strictCheck = strictCheck && this.#enable(NETLINK_GET_STRICT_CHK);
    // errno of this thread, as memory: reading it makes no call that could change it.
    const errno = allocated(core.__errno_location());
    this.#errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(errno, 4));
    if (withoutPort !== undefined) this.#keepBack(withoutPort);
    for (const group of groups) this.#join(group);
  }

  /** The file descriptor, for {@linkcode Parking} to wait for. */
  get descriptor(): number {
    return this.#fd;
  }

  /** Port id of the socket: what `nlmsg_pid` says of messages that answer or follow from ours. */
  get port(): number {
    return this.#lib.core.nl_socket_get_local_port(this.#handle);
  }

  /**
   * Sends the first `size` bytes of `messages` in one call. rtnetlink carries requests out inside it.
   * @returns 0, or libnl's error code (negative)
   */
  send(messages: Uint8Array<ArrayBuffer>, size: number): number {
    return Math.min(0, this.#lib.core.nl_sendto(this.#handle, messages, BigInt(size)));
  }

  /**
   * Receives one datagram, if there is one.
   * @returns its full size (more than the buffer's when it was cut off), or minus errno
   */
  receive(into: Uint8Array<ArrayBuffer>): number {
    const flags = MSG_DONTWAIT | MSG_TRUNC;
    const size = Number(this.#lib.core.recv(this.#fd, into, BigInt(into.length), flags));
    return size < 0 ? -this.#errno[0] : size;
  }

  /**
   * {@linkcode send} off the event loop: for a dump request, whose first part the kernel walks through
   * the whole table for before the call returns.
   */
  async sendInThread(messages: Uint8Array<ArrayBuffer>, size: number): Promise<number> {
    return Math.min(
      0,
      await this.#lib.core.nl_sendto_in_thread(this.#handle, messages, BigInt(size)),
    );
  }

  /**
   * Receives the next part of a dump off the event loop; it does not wait for one that is not there.
   * @returns the datagram's full size, or -1: another thread's errno cannot be known
   */
  async receiveInThread(into: Uint8Array<ArrayBuffer>): Promise<number> {
    const flags = MSG_DONTWAIT | MSG_TRUNC;
    return Number(await this.#lib.core.recv_in_thread(this.#fd, into, BigInt(into.length), flags));
  }

  /** Closes the socket. Never while a call in a thread uses it. */
  [Symbol.dispose](): void {
    if (this.#handle === null) return;
    this.#lib.core.nl_socket_free(this.#handle);
    this.#handle = null;
  }

  /** Attaches a classic BPF program: `nlmsg_pid == port ? drop : keep`. Where it cannot be, all comes. */
  #keepBack(port: number): void {
    const program = new Uint8Array(4 * 8); // struct sock_filter { u16 code; u8 jt, jf; u32 k; }
    const view = new DataView(program.buffer);
    const instruction = (index: number, code: number, jt: number, jf: number, k: number) => {
      view.setUint16(index * 8, code, true);
      view.setUint8(index * 8 + 2, jt);
      view.setUint8(index * 8 + 3, jf);
      view.setUint32(index * 8 + 4, k, true);
    };
    const portBytes = new DataView(new ArrayBuffer(4));
    portBytes.setUint32(0, port, true);
    instruction(0, BPF_LD_W_ABS, 0, 0, 12); // Loads as if in network order, which the port id is not.
    instruction(1, BPF_JMP_JEQ_K, 0, 1, portBytes.getUint32(0));
    instruction(2, BPF_RET_K, 0, 0, 0);
    instruction(3, BPF_RET_K, 0, 0, 0xffffffff);
    const filter = new Uint8Array(16); // struct sock_fprog { u16 len; struct sock_filter *filter; }
    const filterView = new DataView(filter.buffer);
    filterView.setUint16(0, 4, true);
    const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(program));
    filterView.setBigUint64(8, address, true);
    this.#lib.core.setsockopt(this.#fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, filter.length);
    // The kernel has a copy now; until here the program must not be collected.
    program.fill(0);
  }

  #join(group: number): void {
    const joined = this.#lib.core.nl_socket_add_membership(this.#handle, group);
    if (joined >= 0) return;
    this[Symbol.dispose]();
    throw new NetlinkError(joined, "cannot have the kernel tell of changes");
  }

  #enable(option: number): boolean {
    return this.#set(SOL_NETLINK, option, 1);
  }

  #set(level: number, option: number, value: number): boolean {
    const bytes = new Uint8Array(new Int32Array([value]).buffer);
    return this.#lib.core.setsockopt(this.#fd, level, option, bytes, bytes.length) === 0;
  }
}
