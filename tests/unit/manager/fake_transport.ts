import { ControlPacket, decode } from "../../../src/protocol/packet.ts";
import { addressKey } from "../../../src/transport/address.ts";
import { newCounters } from "../../../src/transport/datagram_socket.ts";
import {
  type Endpoint,
  type Receiver,
  SLOT_BYTES,
  type Transport,
} from "../../../src/transport/transport.ts";
import type { FakeClock } from "../scheduler/fakes.ts";

const SLOTS = 64;

export class FakeEndpoint implements Endpoint {
  readonly port = 44_880;
  readonly counters = newCounters();
  readonly tx = new DataView(new ArrayBuffer(SLOTS * SLOT_BYTES));
  readonly claimed: { peer: number; length: number }[] = [];
  users = 0;

  constructor(
    readonly dev: string,
    readonly address: string,
    public reason: string | null,
    public pointToPoint: boolean,
  ) {}

  get open(): boolean {
    return this.reason === null;
  }

  claim(peer: number): number {
    if (!this.open) return -1;
    return (this.claimed.push({ peer, length: 0 }) - 1) % SLOTS * SLOT_BYTES;
  }

  commit(length: number): void {
    this.claimed.at(-1)!.length = length;
  }
}

/** A packet that was sent. */
export interface Sent {
  readonly at: number;
  readonly dev: string;
  readonly address: string;
  readonly peer: number;
  readonly packet: ControlPacket;
}

/** A transport whose other end is the test. */
export class FakeTransport implements Transport {
  readonly mode = "test";
  received = 0;
  readonly sent: Sent[] = [];
  readonly open = new Map<string, FakeEndpoint>();
  /** Why new endpoints do not open, by interface. */
  readonly closedDevices = new Map<string, string>();
  readonly pointToPointDevices = new Set<string>();
  /** Answered by `drain`; see {@linkcode Transport.drain}. */
  drained = true;
  maintained = 0;
  waking = true;
  #receiver: Receiver | null = null;
  #wake: () => void = () => {};
  #waiting: { key: string; peer: number; bytes: DataView; length: number }[] = [];

  constructor(private readonly clock: FakeClock) {}

  start(receiver: Receiver, wake: () => void): void {
    this.#receiver = receiver;
    this.#wake = wake;
  }

  wakeOnArrival(on: boolean): void {
    this.waking = on;
  }

  acquire(dev: string, address: string): Endpoint {
    const key = `${dev} ${address}`;
    let endpoint = this.open.get(key);
    if (endpoint === undefined) {
      const reason = this.closedDevices.get(dev) ?? null;
      endpoint = new FakeEndpoint(dev, address, reason, this.pointToPointDevices.has(dev));
      this.open.set(key, endpoint);
    }
    endpoint.users++;
    return endpoint;
  }

  release(endpoint: Endpoint): void {
    if (--(endpoint as FakeEndpoint).users === 0) {
      this.open.delete(`${endpoint.dev} ${endpoint.address}`);
    }
  }

  endpoints(): Iterable<Endpoint> {
    return this.open.values();
  }

  drain(): boolean {
    for (const { key, peer, bytes, length } of this.#waiting.splice(0)) {
      const endpoint = this.open.get(key);
      if (endpoint === undefined) continue;
      this.received++;
      this.#receiver!.datagram(endpoint, peer, bytes, 0, length);
    }
    return this.drained;
  }

  flush(): void {
    for (const endpoint of this.open.values()) {
      endpoint.claimed.splice(0).forEach(({ peer, length }, i) => {
        const packet = new ControlPacket();
        const refusal = decode(endpoint.tx, i % SLOTS * SLOT_BYTES, length, packet);
        if (refusal !== null) throw new Error(`a packet was sent that is ${refusal}`);
        const { dev, address } = endpoint;
        this.sent.push({ at: this.clock.now(), dev, address, peer, packet });
      });
    }
  }

  maintain(): void {
    this.maintained++;
  }

  close(): void {}

  /** A datagram waits at the endpoint, and the loop is woken unless it does not want to be. */
  arrive(dev: string, address: string, peer: string, bytes: DataView, length = bytes.byteLength) {
    this.#waiting.push({ key: `${dev} ${address}`, peer: addressKey(peer), bytes, length });
    if (this.waking) this.#wake();
  }

  /** The runtime hands a datagram over between turns, and then wakes the loop. */
  handOver(dev: string, address: string, peer: string, bytes: DataView): void {
    this.received++;
    const endpoint = this.open.get(`${dev} ${address}`)!;
    this.#receiver!.datagram(endpoint, addressKey(peer), bytes, 0, bytes.byteLength);
    this.#wake();
  }

  /** The endpoint opens, or is lost for a reason. */
  change(dev: string, address: string, reason: string | null): void {
    const endpoint = this.open.get(`${dev} ${address}`)!;
    endpoint.reason = reason;
    this.#receiver!.endpointChanged(endpoint);
  }

  /** Where the manager takes what arrives. */
  get receiver(): Receiver {
    return this.#receiver!;
  }

  sendFailed(dev: string, address: string, peer: string, reason: string): void {
    this.#receiver!.sendFailed(this.open.get(`${dev} ${address}`)!, addressKey(peer), reason);
  }

  sentTo(peer: number): ControlPacket[] {
    return this.sent.filter((sent) => sent.peer === peer).map(({ packet }) => packet);
  }
}
