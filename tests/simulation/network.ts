/**
 * The simulated network: hosts joined by directed links.
 *
 * A datagram is one pooled object from the moment that it is sent until its receiver has read it; it is
 * the event that delivers it as well. Nothing is allocated per packet.
 */
import { SLOT_BYTES } from "../../src/transport/transport.ts";
import type { SeededRandom } from "./random.ts";
import { type EventQueue, SimulatedEvent } from "./time.ts";
import type { SimulatedTransport } from "./transport.ts";

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

/** A dotted quad as a signed 32-bit integer. */
export function parseAddress(address: string): number {
  const [a, b, c, d] = address.split(".").map(Number);
  return (a! << 24) | (b! << 16) | (c! << 8) | d!;
}
