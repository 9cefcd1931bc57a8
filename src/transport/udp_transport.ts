import { libc } from "../../ffi/libc.ts";
import { ReadySet } from "../../ffi/datagram_batch.ts";
import type { ParkEnd, Parking } from "./parking.ts";
import type { Endpoint, Receiver, Transport } from "./transport.ts";
import { UdpEndpoint } from "./udp_endpoint.ts";

/** With more sockets than this, muting them all to park once a second costs more than it saves. */
const MOST_TO_MUTE = 64;

export interface UdpTransportOptions {
  /** UDP port, both ends. */
  readonly port: number;
  /** Firewall mark of the probes: a rule sends them to the table of probe routes. */
  readonly mark: number;
  /** Use the runtime's receive() and send() alone, also where the C library could do better. */
  readonly plain: boolean;
}

/** The real transport: UDP over IPv4, one socket for each (interface, local address). */
export class UdpTransport implements Transport, Parking {
  readonly mode: string;
  received = 0;
  readonly #options: UdpTransportOptions;
  readonly #endpoints = new Map<string, UdpEndpoint>();
  readonly #descriptors = new Set<number>();
  readonly #ready = new ReadySet();
  /** The runtime's epoll instance, then the open sockets: what the process can park at. */
  readonly #park = new ReadySet();
  #epoll = -1;
  /** Open endpoints in the order of the ready set; made anew when one opens or closes. */
  #open: UdpEndpoint[] = [];
  #receiver: Receiver | null = null;
  #wake: () => void = () => {};
  #waking = true;

  constructor(options: UdpTransportOptions) {
    const plain = options.plain || !libc().batches;
    this.#options = { ...options, plain };
    this.mode = plain ? "receive/send" : "recvmmsg/sendmmsg";
  }

  start(receiver: Receiver, wake: () => void): void {
    this.#receiver = receiver;
    this.#wake = wake;
  }

  acquire(dev: string, address: string): Endpoint {
    const key = `${dev} ${address}`;
    let endpoint = this.#endpoints.get(key);
    if (endpoint === undefined) {
      this.#endpoints.set(key, endpoint = this.#make(dev, address));
      endpoint.wakeOnArrival(this.#waking);
      endpoint.tryOpen();
      this.#relist();
    }
    endpoint.users++;
    return endpoint;
  }

  release(released: Endpoint): void {
    const key = `${released.dev} ${released.address}`;
    const endpoint = this.#endpoints.get(key);
    if (endpoint === undefined || endpoint !== released || --endpoint.users > 0) return;
    this.#endpoints.delete(key);
    endpoint.flush();
    endpoint.close();
    this.#relist();
  }

  endpoints(): Iterable<Endpoint> {
    return this.#endpoints.values();
  }

  wakeOnArrival(on: boolean): void {
    this.#waking = on;
    for (const endpoint of this.#endpoints.values()) endpoint.wakeOnArrival(on);
  }

  drain(): boolean {
    if (this.#options.plain || this.#open.length <= 1) return this.#drainAll();
    const ready = this.#ready.ask();
    if (ready === 0) return true;
    if (ready < 0) return this.#drainAll();
    let drained = true;
    for (let i = 0; i < this.#open.length; i++) {
      if (this.#ready.ready(i) && !this.#open[i]!.drain()) drained = false;
    }
    return drained;
  }

  flush(): void {
    for (const endpoint of this.#open) endpoint.flush();
  }

  maintain(): void {
    for (const endpoint of this.#endpoints.values()) {
      const change = endpoint.check();
      if (change === "none") continue;
      this.#relist();
      this.#receiver?.endpointChanged(endpoint);
      // What was recreated is there already: no need to wait for the next round.
      if (change === "lost" && endpoint.check() === "opened") {
        this.#relist();
        this.#receiver?.endpointChanged(endpoint);
      }
    }
  }

  close(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.close();
    this.#endpoints.clear();
    this.#relist();
  }

  /** Whether parking is possible, and worth muting every socket for. */
  get parkable(): boolean {
    const { length } = this.#open;
    return this.#epoll >= 0 && (!this.#waking || length <= MOST_TO_MUTE);
  }

  enterPark(): void {
    if (this.#waking) { for (const endpoint of this.#open) endpoint.mute(true); }
  }

  leavePark(): void {
    if (this.#waking) { for (const endpoint of this.#open) endpoint.mute(false); }
  }

  park(timeoutMs: number): ParkEnd {
    const sockets = this.#waking ? this.#open.length : 0;
    if (this.#park.ask(timeoutMs, sockets + 1) <= 0) return "timeout";
    return this.#park.ready(0) ? "runtime" : "arrival";
  }

  arrived(): void {
    this.#wake();
  }

  #drainAll(): boolean {
    let drained = true;
    for (const endpoint of this.#open) if (!endpoint.drain()) drained = false;
    return drained;
  }

  #relist(): void {
    this.#open = [...this.#endpoints.values()].filter((endpoint) => endpoint.open);
    const descriptors = this.#open.map((endpoint) => endpoint.fd);
    this.#ready.watch(descriptors);
    this.#epoll = this.#open.length === 0 ? -1 : Math.min(...this.#open.map((e) => e.epoll));
    this.#park.watch([this.#epoll, ...descriptors]);
  }

  #make(dev: string, address: string): UdpEndpoint {
    const { port, mark, plain } = this.#options;
    return new UdpEndpoint({
      dev,
      address,
      port,
      mark,
      plain,
      descriptors: this.#descriptors,
      siblings: () => this.#open.filter((other) => other.address === address),
      sink: (endpoint) => ({
        datagram: (peer, bytes, offset, length) => {
          this.received++;
          this.#receiver?.datagram(endpoint, peer, bytes, offset, length);
        },
        sendFailed: (peer, reason) => {
          endpoint.suspect();
          this.#receiver?.sendFailed(endpoint, peer, reason);
        },
        arrived: () => this.#wake(),
      }),
    });
  }
}
