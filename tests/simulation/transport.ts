/** The transport that a daemon sees of the simulated network. */
import {
  type Endpoint,
  type EndpointCounters,
  type Receiver,
  SLOT_BYTES,
  type Transport,
} from "../../src/transport/transport.ts";
import { type Datagram, type Host, parseAddress } from "./network.ts";
import { Call } from "./time.ts";

/** Datagrams that a socket holds before it drops what arrives. */
const SOCKET_DATAGRAMS = 24;
/** Datagrams that one `drain` takes from a socket: few, so that "more may wait" really happens. */
const DRAIN_BATCH = 4;
/** Datagrams that an endpoint collects before it must send. */
const SEND_BATCH = 16;

/** One socket of one process. */
export class SimulatedEndpoint implements Endpoint {
  readonly counters: EndpointCounters = {
    rxDatagrams: 0,
    txDatagrams: 0,
    readErrors: 0,
    writeErrors: 0,
    connectionRefused: 0,
    noBuffers: 0,
    opens: 0,
    openErrors: 0,
  };
  open = false;
  reason: string | null = "not opened yet";
  /** Probe routes are part of what a world exercises. */
  readonly pointToPoint = false;
  readonly tx = new DataView(new ArrayBuffer(SLOT_BYTES * SEND_BATCH));
  /** Peers that refused a datagram; each makes one later send fail, as on a UDP socket. */
  readonly refusals: number[] = [];
  users = 0;
  readonly local: number;
  readonly waiting: Datagram[] = [];
  readonly #words = new Int32Array(this.tx.buffer);
  readonly #peers = new Int32Array(SEND_BATCH);
  readonly #lengths = new Int32Array(SEND_BATCH);
  #claimed = 0;
  #committed = 0;

  constructor(
    readonly transport: SimulatedTransport,
    readonly dev: string,
    readonly address: string,
    readonly port: number,
  ) {
    this.local = parseAddress(address);
  }

  claim(peer: number): number {
    if (!this.open) return -1;
    if (this.#committed === SEND_BATCH) this.send();
    this.#claimed = this.#committed;
    this.#peers[this.#claimed] = peer;
    return this.#claimed * SLOT_BYTES;
  }

  commit(length: number): void {
    this.#lengths[this.#claimed] = length;
    this.#committed = this.#claimed + 1;
  }

  /** Sends the batch. */
  send(): void {
    const { host, receiver } = this.transport;
    const present = host.addresses.get(this.local) === this.dev;
    for (let i = 0; i < this.#committed; i++) {
      const peer = this.#peers[i]!;
      const refusal = this.refusals.indexOf(peer);
      if (!present) {
        this.counters.writeErrors++;
        receiver.sendFailed(this, peer, "address not available");
      } else if (refusal >= 0) {
        this.refusals.splice(refusal, 1);
        this.counters.writeErrors++;
        this.counters.connectionRefused++;
        receiver.sendFailed(this, peer, "connection refused");
      } else {
        this.counters.txDatagrams++;
        const words = (SLOT_BYTES / 4) * i;
        host.network.send(host, this.local, peer, this.#words, words, this.#lengths[i]!);
      }
    }
    this.#committed = 0;
  }

  /** A datagram arrives. */
  push(datagram: Datagram): void {
    if (this.waiting.length >= SOCKET_DATAGRAMS) {
      this.transport.host.network.counters.overflowed++;
      return this.transport.host.network.recycle(datagram);
    }
    this.waiting.push(datagram);
    this.transport.notify();
  }

  /** Delivers a batch; false when more waits. */
  drain(): boolean {
    const { receiver, host } = this.transport;
    const batch = Math.min(DRAIN_BATCH, this.waiting.length);
    for (let i = 0; i < batch; i++) {
      const datagram = this.waiting[i]!;
      this.counters.rxDatagrams++;
      this.transport.received++;
      receiver.datagram(this, datagram.source, datagram.bytes, 0, datagram.length);
      host.network.recycle(datagram);
    }
    if (batch === this.waiting.length) this.waiting.length = 0;
    else this.waiting.splice(0, batch);
    return this.waiting.length === 0;
  }

  /** Opens or closes the socket as the host's addresses demand; true when that changed something. */
  adjust(): boolean {
    const present = this.transport.host.addresses.get(this.local) === this.dev;
    if (present === this.open) return false;
    this.open = present;
    this.reason = present ? null : `address ${this.address} is not on ${this.dev}`;
    if (present) this.counters.opens++;
    else {
      this.counters.openErrors++;
      this.discard();
    }
    return true;
  }

  /** Drops what was received and not read, and what was claimed and not sent. */
  discard(): void {
    for (const datagram of this.waiting) this.transport.host.network.recycle(datagram);
    this.waiting.length = 0;
    this.#committed = 0;
  }
}

/** What one process sees of the network. */
export class SimulatedTransport implements Transport {
  readonly mode = "simulated";
  received = 0;
  receiver!: Receiver;
  #wake: () => void = () => {};
  #running = true;
  #wakesOnArrival = true;
  readonly #notification = new Call(() => this.notify());
  readonly #endpoints: SimulatedEndpoint[] = [];

  constructor(readonly host: Host, readonly port = 44880) {
    host.transport = this;
  }

  start(receiver: Receiver, wake: () => void): void {
    this.receiver = receiver;
    this.#wake = wake;
  }

  acquire(dev: string, address: string): Endpoint {
    let endpoint = this.#endpoints.find((e) => e.dev === dev && e.address === address);
    if (endpoint === undefined) {
      endpoint = new SimulatedEndpoint(this, dev, address, this.port);
      this.#endpoints.push(endpoint);
      endpoint.adjust();
    }
    endpoint.users++;
    return endpoint;
  }

  release(endpoint: Endpoint): void {
    const index = this.#endpoints.findIndex((e) => e === endpoint);
    const found = this.#endpoints[index];
    if (found === undefined) throw new Error(`released an endpoint that is not open`);
    if (--found.users > 0) return;
    found.send();
    found.discard();
    found.open = false;
    this.#endpoints.splice(index, 1);
  }

  endpoints(): Iterable<SimulatedEndpoint> {
    return this.#endpoints;
  }

  find(address: number): SimulatedEndpoint | undefined {
    for (const endpoint of this.#endpoints) {
      if (endpoint.local === address && endpoint.open) return endpoint;
    }
    return undefined;
  }

  wakeOnArrival(on: boolean): void {
    this.#wakesOnArrival = on;
    if (on) this.#notifyIfWaiting();
  }

  drain(): boolean {
    let empty = true;
    for (const endpoint of this.#endpoints) if (!endpoint.drain()) empty = false;
    if (!empty) this.#notifySoon();
    return empty;
  }

  flush(): void {
    for (const endpoint of this.#endpoints) endpoint.send();
  }

  maintain(): void {
    for (const endpoint of this.#endpoints) {
      if (endpoint.adjust()) this.receiver.endpointChanged(endpoint);
    }
  }

  close(): void {
    this.flush();
    this.abandon();
  }

  /** Something arrived: wakes the loop, if it wants to be. */
  notify(): void {
    if (this.#running && this.#wakesOnArrival) this.#wake();
  }

  /** The process stops running: its sockets fill, nothing wakes it. */
  stall(): void {
    this.#running = false;
  }

  /** The process runs again and finds what waited. */
  resume(): void {
    this.#running = true;
    this.#notifyIfWaiting();
  }

  /** The process is gone, without a word to anybody. */
  abandon(): void {
    for (const endpoint of this.#endpoints) {
      endpoint.discard();
      endpoint.open = false;
    }
    this.#endpoints.length = 0;
    this.#running = false;
    if (this.host.transport === this) this.host.transport = null;
  }

  #notifyIfWaiting(): void {
    if (this.#endpoints.some((endpoint) => endpoint.waiting.length > 0)) this.#notifySoon();
  }

  /** Wakes the loop after what happens now: a turn must not start within a turn. */
  #notifySoon(): void {
    this.host.network.queue.schedule(this.#notification, this.host.network.queue.now);
  }
}
