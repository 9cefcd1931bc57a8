/**
 * The real transport on a string: does what each line of standard input says and answers each with a
 * line on standard output, both JSON. Started inside a namespace by transport_test.ts.
 */
import { UdpTransport } from "../../src/transport/udp_transport.ts";
import { addressKey, addressText } from "../../src/transport/address.ts";
import type { Endpoint, EndpointCounters, Receiver } from "../../src/transport/transport.ts";

/** One socket by what it is bound to. */
export interface Bound {
  readonly dev: string;
  readonly address: string;
}

export type Order =
  | { readonly do: "acquire" | "release" | "reacquire"; readonly at: Bound }
  /** Sends one datagram of `hex` to each peer, all claimed before the flush. */
  | {
    readonly do: "send";
    readonly at: Bound;
    readonly peers: readonly string[];
    readonly hex: string;
  }
  /** Sends `count` datagrams of `length` bytes from a socket of the runtime's own. */
  | {
    readonly do: "raw";
    readonly from: string;
    readonly to: string;
    readonly length: number;
    readonly count: number;
  }
  | { readonly do: "drain" | "maintain" | "sleep" }
  | { readonly do: "waking"; readonly on: boolean }
  /** Turns until so many datagrams have arrived since the last answer, 5 s at most. */
  | { readonly do: "receive"; readonly count: number };

export interface Heard extends Bound {
  readonly peer: string;
  readonly length: number;
  /** The first bytes, as far as they are sure to be readable. */
  readonly hex: string;
}

/** What happened since the last answer, and what is so now. */
export interface Answer {
  readonly drained: boolean;
  readonly claimed: number;
  readonly wakes: number;
  readonly heard: readonly Heard[];
  readonly failed: readonly { readonly peer: string; readonly reason: string }[];
  readonly changed: readonly string[];
  readonly endpoints: readonly (Bound & {
    readonly open: boolean;
    readonly reason: string | null;
    readonly pointToPoint: boolean;
    readonly counters: EndpointCounters;
  })[];
}

/** More than this many datagrams are only counted, not told. */
const TOLD = 500;

class Puppet implements Receiver {
  readonly transport: UdpTransport;
  readonly held = new Map<string, Endpoint>();
  heard: Heard[] = [];
  failed: { peer: string; reason: string }[] = [];
  changed: string[] = [];
  wakes = 0;
  drained = true;
  claimed = 0;

  constructor(plain: boolean) {
    this.transport = new UdpTransport({ port: 44_880, mark: 44_880, plain });
    this.transport.start(this, () => this.wakes++);
  }

  datagram(
    { dev, address }: Endpoint,
    peer: number,
    bytes: DataView,
    offset: number,
    length: number,
  ) {
    if (this.heard.length >= TOLD) return;
    const readable = Math.min(length, 64);
    const hex = new Uint8Array(bytes.buffer, bytes.byteOffset + offset, readable).toHex();
    this.heard.push({ dev, address, peer: addressText(peer), length, hex });
  }

  sendFailed(_endpoint: Endpoint, peer: number, reason: string): void {
    this.failed.push({ peer: addressText(peer), reason });
  }

  endpointChanged({ dev, address, open, reason }: Endpoint): void {
    this.changed.push(`${dev} ${address} ${open ? "open" : reason}`);
  }

  async obey(order: Order): Promise<void> {
    const { transport } = this;
    switch (order.do) {
      case "acquire":
        this.held.set(key(order.at), transport.acquire(order.at.dev, order.at.address));
        return;
      case "reacquire":
        transport.release(this.held.get(key(order.at))!);
        this.held.set(key(order.at), transport.acquire(order.at.dev, order.at.address));
        return;
      case "release":
        return transport.release(this.held.get(key(order.at))!);
      case "send":
        return this.#send(this.held.get(key(order.at))!, order.peers, order.hex);
      case "raw":
        return await sendRaw(order.from, order.to, order.length, order.count);
      case "drain":
        this.drained = transport.drain();
        return;
      case "maintain":
        return transport.maintain();
      case "sleep":
        return await pause(100);
      case "waking":
        return transport.wakeOnArrival(order.on);
      case "receive": {
        const until = Date.now() + 5_000;
        while (this.heard.length < order.count && Date.now() < until) {
          this.drained = transport.drain();
          await pause(2);
        }
      }
    }
  }

  #send(endpoint: Endpoint, peers: readonly string[], hex: string): void {
    const packet = Uint8Array.fromHex(hex);
    this.claimed = 0;
    for (const peer of peers) {
      const offset = endpoint.claim(addressKey(peer));
      if (offset < 0) continue;
      this.claimed++;
      packet.forEach((byte, i) => endpoint.tx.setUint8(offset + i, byte));
      endpoint.commit(packet.length);
    }
    this.transport.flush();
  }

  answer(): Answer {
    const { drained, claimed, wakes, heard, failed, changed } = this;
    [this.heard, this.failed, this.changed, this.wakes] = [[], [], [], 0];
    const endpoints = [...this.transport.endpoints()].map(
      ({ dev, address, open, reason, pointToPoint, counters }) => (
        { dev, address, open, reason, pointToPoint, counters }
      ),
    );
    return { drained, claimed, wakes, heard, failed, changed, endpoints };
  }
}

async function sendRaw(from: string, to: string, length: number, count: number): Promise<void> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: from, port: 0 });
  const target = { transport: "udp", hostname: to, port: 44_880 } as const;
  const datagram = new Uint8Array(length).fill(0xab);
  for (let i = 0; i < count; i++) await socket.send(datagram, target);
  socket.close();
}

function key({ dev, address }: Bound): string {
  return `${dev} ${address}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const puppet = new Puppet(Deno.args[0] === "plain");
  const input = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  let rest = "";
  for await (const chunk of input) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      await puppet.obey(JSON.parse(line));
      console.log(JSON.stringify(puppet.answer()));
    }
  }
  puppet.transport.close();
}
