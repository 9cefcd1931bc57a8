/** A peer that a test plays by hand: it hears what a daemon sends and says what the script wants. */
import { ControlPacket, decode, encode, PACKET_BYTES, State } from "../../src/protocol/packet.ts";
import type { Endpoint, Receiver } from "../../src/transport/transport.ts";
import { DEV } from "./machine.ts";
import { parseAddress } from "./network.ts";
import { SimulatedTransport } from "./transport.ts";
import { addressOf, type World } from "./world.ts";

/** A packet that the daemon sent, and when it arrived, µs. */
export interface Heard {
  readonly at: number;
  readonly packet: ControlPacket;
}

/** What a packet says; what is not given is as a well-behaved active peer at 300 ms × 3 has it. */
export type Words = Partial<Omit<ControlPacket, "passive">>;

const ACTIVE = { detectMult: 3, desiredMinTxUs: 300_000, requiredMinRxUs: 300_000 };

export class Puppet implements Receiver {
  readonly heard: Heard[] = [];
  /** Its own discriminator. */
  discriminator = 4711;
  readonly #transport: SimulatedTransport;
  readonly #endpoint: Endpoint;
  readonly #peer: number;
  readonly #packet = new ControlPacket();

  /** Plays machine `index` towards the daemon on machine `daemon`. */
  constructor(readonly world: World, readonly index: number, daemon = 0) {
    this.#transport = new SimulatedTransport(world.network.hosts[index]!);
    this.#transport.start(this, () => this.#transport.drain());
    this.#endpoint = this.#transport.acquire(DEV, addressOf(index));
    this.#peer = parseAddress(addressOf(daemon));
  }

  /** What the daemon said last. */
  get last(): ControlPacket {
    const last = this.heard.at(-1);
    if (last === undefined) throw new Error("the daemon has not said anything");
    return last.packet;
  }

  /** Sends one packet now, echoing what the daemon last called itself unless told otherwise. */
  say(state: State, words: Words = {}): void {
    const packet = this.#packet;
    Object.assign(packet, ACTIVE, { flags: 0, clientVersion: 0 });
    packet.localDiscr = this.discriminator;
    packet.peerDiscr = this.heard.at(-1)?.packet.localDiscr ?? 0;
    Object.assign(packet, words, { state });
    const offset = this.#endpoint.claim(this.#peer);
    encode(packet, this.#endpoint.tx, offset);
    this.#endpoint.commit(PACKET_BYTES);
    this.#transport.flush();
  }

  /** Says the same every `interval` µs until the result is called. */
  repeat(interval: number, speak: () => void): () => void {
    let going = true;
    const again = () => {
      if (!going) return;
      speak();
      this.world.queue.call(this.world.queue.now + interval, again);
    };
    again();
    return () => void (going = false);
  }

  /** Keeps saying what a live peer would: Init to a daemon that is Down, Up to one that is not. */
  beAlive(words: Words = {}): () => void {
    return this.repeat(300_000, () => {
      const known = this.heard.at(-1);
      if (known === undefined) this.say(State.Down, words);
      else this.say(known.packet.state >= State.Init ? State.Up : State.Init, words);
    });
  }

  /** Times between the packets heard since `from`, µs. */
  gaps(from = 0): number[] {
    const times = this.heard.filter(({ at }) => at >= from).map(({ at }) => at);
    return times.slice(1).map((at, i) => at - times[i]!);
  }

  datagram(_: Endpoint, __: number, bytes: DataView, offset: number, length: number): void {
    const packet = new ControlPacket();
    const refusal = decode(bytes, offset, length, packet);
    if (refusal !== null) throw new Error(`the daemon sent a packet that is ${refusal}`);
    this.heard.push({ at: this.world.queue.now, packet });
  }

  sendFailed(): void {}
  endpointChanged(): void {}
}
