/**
 * The simulated network: hosts joined by directed links, and the transport that a daemon sees of it.
 *
 * A datagram is one pooled object from the moment that it is sent until its receiver has read it; it is
 * the event that delivers it as well. Nothing is allocated per packet.
 */
import {
  type Endpoint,
  type EndpointCounters,
  type Receiver,
  SLOT_BYTES,
  type Transport,
} from "../../src/transport/transport.ts";
import type { SeededRandom } from "./random.ts";
import { Call, type EventQueue, SimulatedEvent } from "./time.ts";

/** Datagrams that a socket holds before it drops what arrives. */
const SOCKET_DATAGRAMS = 24;
/** Datagrams that one `drain` takes from a socket: few, so that "more may wait" really happens. */
const DRAIN_BATCH = 4;
/** Datagrams that an endpoint collects before it must send. */
const SEND_BATCH = 16;

/** One direction between two hosts: what it does to datagrams. Probabilities in 0..1, times in µs. */
export class Link {
  loss = 0;
  duplication = 0;
  reordering = 0;
  delayUs = 1000;
  jitterUs = 0;
  /** How much later a reordered datagram arrives, at most. */
  reorderingUs = 0;
  /** Faults that cut it now; it carries datagrams while there are none. */
  cuts = 0;
  constructor(readonly random: SeededRandom) {}
}

/** What happened to datagrams, over the whole life of a network. */
export interface NetworkCounters {
  sent: number;
  delivered: number;
  lost: number;
  duplicated: number;
  reordered: number;
  /** Swallowed by a link that was cut. */
  cut: number;
  /** Arrived at a socket whose queue was full. */
  overflowed: number;
  /** Arrived where nobody listens. */
  refused: number;
  /** Swallowed by {@linkcode Network.tamper}. */
  tampered: number;
}

/** Called for every delivered datagram: times in µs, hosts by index. */
export type DeliveryWatcher = (from: number, to: number, datagram: Datagram) => void;

/** A datagram on its way or waiting in a socket. */
export class Datagram extends SimulatedEvent {
  readonly bytes = new DataView(new ArrayBuffer(SLOT_BYTES));
  readonly words = new Int32Array(this.bytes.buffer);
  length = 0;
  /** Addresses as signed 32-bit integers. */
  source = 0;
  target = 0;
  from = 0;
  to = 0;

  constructor(readonly network: Network) {
    super();
  }

  fire(): void {
    this.network.arrive(this);
  }
}

/** All hosts and the links between them. */
export class Network {
  readonly hosts: Host[] = [];
  readonly counters: NetworkCounters = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    cut: 0,
    overflowed: 0,
    refused: 0,
    tampered: 0,
  };
  watch: DeliveryWatcher | null = null;
  /** Decides over each datagram before it is sent: false swallows it. For scripted scenarios. */
  tamper: ((datagram: Datagram) => boolean) | null = null;
  readonly #links: Link[] = [];
  readonly #free: Datagram[] = [];
  readonly #hostOf = new Map<number, Host>();

  constructor(readonly queue: EventQueue, readonly size: number, random: SeededRandom) {
    for (let from = 0; from < size; from++) {
      for (let to = 0; to < size; to++) {
        this.#links.push(new Link(random.fork(`link ${from}>${to}`)));
      }
    }
    for (let index = 0; index < size; index++) this.hosts.push(new Host(this, index));
  }

  link(from: number, to: number): Link {
    return this.#links[from * this.size + to]!;
  }

  /** Makes `address` belong to `host`. */
  assign(address: number, host: Host): void {
    this.#hostOf.set(address, host);
  }

  /** Sends `length` bytes of `words`, from word `offset` on, from `host` to the address `target`. */
  send(
    host: Host,
    source: number,
    target: number,
    words: Int32Array,
    offset: number,
    length: number,
  ): void {
    const to = this.#hostOf.get(target);
    if (to === undefined) return;
    this.counters.sent++;
    const datagram = this.#free.pop() ?? new Datagram(this);
    for (let i = 0; i < SLOT_BYTES / 4; i++) datagram.words[i] = words[offset + i]!;
    datagram.length = length;
    datagram.source = source;
    datagram.target = target;
    datagram.from = host.index;
    datagram.to = to.index;
    if (this.tamper !== null && !this.tamper(datagram)) {
      this.counters.tampered++;
      this.recycle(datagram);
      return;
    }
    this.#forward(datagram, this.link(host.index, to.index));
  }

  /** A datagram reaches the end of its link. */
  arrive(datagram: Datagram): void {
    const link = this.link(datagram.from, datagram.to);
    if (link.cuts > 0) {
      this.counters.cut++;
      this.recycle(datagram);
      return;
    }
    this.watch?.(datagram.from, datagram.to, datagram);
    this.hosts[datagram.to]!.receive(datagram);
  }

  /** Gives a datagram back that has been read or dropped. */
  recycle(datagram: Datagram): void {
    this.#free.push(datagram);
  }

  #forward(datagram: Datagram, link: Link): void {
    const { random } = link;
    if (link.cuts > 0) {
      this.counters.cut++;
      return this.recycle(datagram);
    }
    if (random.chance(link.loss)) {
      this.counters.lost++;
      return this.recycle(datagram);
    }
    if (random.chance(link.duplication)) {
      this.counters.duplicated++;
      this.#launch(this.#copy(datagram), link);
    }
    this.#launch(datagram, link);
  }

  #launch(datagram: Datagram, link: Link): void {
    let delay = link.delayUs;
    if (link.jitterUs > 0) delay += Math.floor(link.random.fraction() * link.jitterUs);
    if (link.random.chance(link.reordering)) {
      this.counters.reordered++;
      delay += Math.floor(link.random.fraction() * link.reorderingUs);
    }
    this.queue.schedule(datagram, this.queue.now + delay);
  }

  #copy(datagram: Datagram): Datagram {
    const copy = this.#free.pop() ?? new Datagram(this);
    copy.words.set(datagram.words);
    copy.length = datagram.length;
    copy.source = datagram.source;
    copy.target = datagram.target;
    copy.from = datagram.from;
    copy.to = datagram.to;
    return copy;
  }
}

/** One machine's place in the network: its addresses and the sockets bound to them. */
export class Host {
  /** Interface of each address that the host has now. */
  readonly addresses = new Map<number, string>();
  /** The process that uses the network here; `null` while none runs. */
  transport: SimulatedTransport | null = null;

  constructor(readonly network: Network, readonly index: number) {}

  /** Gives the host an address on the interface `dev`. */
  addAddress(address: string, dev: string): void {
    this.addresses.set(parseAddress(address), dev);
    this.network.assign(parseAddress(address), this);
  }

  /** Takes the address away; sockets bound to it go deaf and mute. */
  removeAddress(address: string): void {
    this.addresses.delete(parseAddress(address));
  }

  receive(datagram: Datagram): void {
    const { network, transport } = this;
    if (!this.addresses.has(datagram.target)) return network.recycle(datagram);
    const endpoint = transport?.find(datagram.target);
    if (endpoint === undefined) {
      network.counters.refused++;
      network.hosts[datagram.from]!.refuse(datagram);
      return network.recycle(datagram);
    }
    network.counters.delivered++;
    endpoint.push(datagram);
  }

  /** Nobody listens where `datagram` went: ICMP says so, if the way back is not cut. */
  refuse(datagram: Datagram): void {
    if (this.network.link(datagram.to, datagram.from).cuts > 0) return;
    this.transport?.find(datagram.source)?.refusals.push(datagram.target);
  }
}

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

/** A dotted quad as a signed 32-bit integer. */
export function parseAddress(address: string): number {
  const [a, b, c, d] = address.split(".").map(Number);
  return (a! << 24) | (b! << 16) | (c! << 8) | d!;
}
