import {
  bindToDevice,
  findUdpDescriptor,
  IFF_POINTOPOINT,
  IFF_RUNNING,
  IFF_UP,
  interfaceFlags,
  interfaceIndex,
  lowestFreeDescriptor,
  setBuffers,
  setIpHeader,
  setMark,
  setReuseAddress,
} from "../../ffi/socket.ts";
import { BatchedSocket } from "./batched_socket.ts";
import { type DatagramSocket, newCounters, type SocketSink } from "./datagram_socket.ts";
import { PlainSocket } from "./plain_socket.ts";
import { type Endpoint, SLOT_BYTES } from "./transport.ts";

/** Asked for both ways; room for a stall of half a second at 30,000 sessions. */
const BUFFER_BYTES = 16 * 1024 * 1024;

export interface UdpEndpointOptions {
  readonly dev: string;
  readonly address: string;
  readonly port: number;
  /** Firewall mark of the probes. */
  readonly mark: number;
  /** Use the runtime's receive() and send() alone. */
  readonly plain: boolean;
  readonly sink: (endpoint: UdpEndpoint) => SocketSink;
  /** Open sockets with the same local address: they must share it while one more is bound. */
  readonly siblings: () => Iterable<UdpEndpoint>;
  /** Descriptors of our sockets. */
  readonly descriptors: Set<number>;
}

/** What {@linkcode UdpEndpoint.check} found. */
export type EndpointChange = "none" | "opened" | "lost" | "link_up";

/** The life of one endpoint: it opens when its interface and address are there, and reopens after a loss. */
export class UdpEndpoint implements Endpoint {
  readonly dev: string;
  readonly address: string;
  readonly port: number;
  readonly counters = newCounters();
  reason: string | null = "not opened yet";
  pointToPoint = false;
  /** Uses counted by the transport. */
  users = 0;

  readonly #options: UdpEndpointOptions;
  #socket: DatagramSocket | null = null;
  #ifindex = 0;
  #linkUp = false;
  #wake = true;
  /** A send failed in a way that a vanished address explains: look closer at the next check. */
  #suspicious = false;

  constructor(options: UdpEndpointOptions) {
    this.#options = options;
    ({ dev: this.dev, address: this.address, port: this.port } = options);
  }

  get open(): boolean {
    return this.#socket !== null;
  }

  /** The descriptor; -1 while not open. */
  get fd(): number {
    return this.#socket?.fd ?? -1;
  }

  get tx(): DataView {
    return this.#socket?.tx ?? EMPTY_SLOT;
  }

  claim(peer: number): number {
    return this.#socket === null ? -1 : this.#socket.claim(peer);
  }

  commit(length: number): void {
    this.#socket?.commit(length);
  }

  drain(): boolean {
    return this.#socket?.drain() ?? true;
  }

  flush(): void {
    this.#socket?.flush();
  }

  wakeOnArrival(on: boolean): void {
    this.#wake = on;
    this.#socket?.wakeOnArrival(on);
  }

  /** The runtime's epoll instance; -1 when the socket cannot be muted, or is not open. */
  get epoll(): number {
    return this.#socket?.epoll ?? -1;
  }

  mute(on: boolean): void {
    this.#socket?.mute(on);
  }

  suspect(): void {
    this.#suspicious = true;
  }

  /** Opens what can be opened, closes what has lost its ground; says what changed. */
  check(): EndpointChange {
    const index = interfaceIndex(this.dev);
    if (this.#socket !== null && index !== this.#ifindex) {
      return this.#lose(index === 0 ? `interface ${this.dev} is gone` : "interface was recreated");
    }
    if (this.#socket !== null && this.#suspicious && !hasAddress(this.address)) {
      return this.#lose(`address ${this.address} is gone`);
    }
    this.#suspicious = false;
    if (this.#socket === null) return this.tryOpen(index) ? "opened" : "none";
    return this.#checkLink();
  }

  /** Tries to open the socket; what is in the way becomes the endpoint's reason. */
  tryOpen(index = interfaceIndex(this.dev)): boolean {
    if (index === 0) return this.#refuse(`interface ${this.dev} does not exist`);
    let socket: DatagramSocket;
    try {
      socket = this.#bind();
    } catch (error) {
      return this.#refuse(openErrorText(error, this));
    }
    this.#socket = socket;
    this.#ifindex = index;
    this.reason = null;
    this.counters.opens++;
    this.#options.descriptors.add(socket.fd);
    const flags = interfaceFlags(socket.fd, this.dev);
    this.pointToPoint = (flags & IFF_POINTOPOINT) !== 0;
    this.#linkUp = isUp(flags);
    socket.wakeOnArrival(this.#wake);
    return true;
  }

  close(): void {
    if (this.#socket === null) return;
    // The runtime closes it once its receive() has returned; till then it must not hold the address.
    this.shareAddress(true);
    this.#options.descriptors.delete(this.#socket.fd);
    this.#socket.close();
    this.#socket = null;
  }

  /** For the moment in which another socket is bound to the same local address. */
  shareAddress(on: boolean): void {
    if (this.#socket !== null) setReuseAddress(this.#socket.fd, on);
  }

  #bind(): DatagramSocket {
    const siblings = [...this.#options.siblings()];
    for (const sibling of siblings) sibling.shareAddress(true);
    try {
      return this.#bindShared();
    } finally {
      for (const sibling of siblings) sibling.shareAddress(false);
    }
  }

  /** Binds beside sockets of ours that share the address for the moment; nobody else's do. */
  #bindShared(): DatagramSocket {
    const { address: hostname, port, mark, plain, sink, descriptors } = this.#options;
    const from = lowestFreeDescriptor();
    const connection = Deno.listenDatagram({
      transport: "udp",
      hostname,
      port,
      reuseAddress: true,
    });
    try {
      const fd = findUdpDescriptor(hostname, port, from, descriptors);
      if (fd === null) throw new Error("the socket's descriptor was not found");
      setReuseAddress(fd, false);
      setMark(fd, mark);
      setIpHeader(fd);
      const received = setBuffers(fd, BUFFER_BYTES);
      bindToDevice(fd, this.dev);
      return plain
        ? new PlainSocket(connection, fd, port, this.counters, sink(this))
        : new BatchedSocket(connection, fd, port, received, this.counters, sink(this));
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #refuse(reason: string): false {
    this.reason = reason;
    this.counters.openErrors++;
    return false;
  }

  #lose(reason: string): "lost" {
    this.close();
    this.reason = reason;
    this.#suspicious = false;
    return "lost";
  }

  #checkLink(): EndpointChange {
    const wasUp = this.#linkUp;
    this.#linkUp = isUp(interfaceFlags(this.fd, this.dev));
    return this.#linkUp && !wasUp ? "link_up" : "none";
  }
}

const EMPTY_SLOT = new DataView(new ArrayBuffer(SLOT_BYTES));

function isUp(flags: number): boolean {
  const both = IFF_UP | IFF_RUNNING;
  return (flags & both) === both;
}

function hasAddress(address: string): boolean {
  return Deno.networkInterfaces().some((networkInterface) => networkInterface.address === address);
}

function openErrorText(error: unknown, { address, port }: UdpEndpoint): string {
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return `address ${address} is not on this host`;
  }
  if (error instanceof Deno.errors.AddrInUse) {
    return `port ${port} on ${address} is in use by another process`;
  }
  return error instanceof Error ? error.message : String(error);
}
