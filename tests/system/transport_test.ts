import { assert, assertEquals } from "@std/assert";
import { NetworkNamespace } from "./netns.ts";
import type { Answer, Bound, Order } from "./transport_child.ts";

const A0: Bound = { dev: "a0", address: "10.0.0.1" };
const B0: Bound = { dev: "b0", address: "10.0.0.2" };
const PACKET = "20c00328" + "01".repeat(36);

/** The transport in a namespace, obeying line by line. */
class Puppet implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(namespace: NetworkNamespace, plain: boolean) {
    const child = new URL("./transport_child.ts", import.meta.url).pathname;
    this.#process = namespace.command(
      [Deno.execPath(), "run", "-A", "--no-prompt", child, plain ? "plain" : "batched"],
      { stdin: "piped", stdout: "piped" },
    ).spawn();
    this.#writer = this.#process.stdin.getWriter();
    this.#reader = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async obey(order: Order): Promise<Answer> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(order)}\n`));
    while (!this.#rest.includes("\n")) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`it ended at ${JSON.stringify(order)}`);
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return JSON.parse(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#process.status;
    await this.#reader.cancel();
  }
}

/** Two hosts with a cable, and a transport on each. */
class Pair implements AsyncDisposable {
  private constructor(
    readonly hostA: NetworkNamespace,
    readonly hostB: NetworkNamespace,
    readonly a: Puppet,
    readonly b: Puppet,
  ) {}

  static async create(plain: boolean): Promise<Pair> {
    const hostA = await NetworkNamespace.create("ta");
    const hostB = await NetworkNamespace.create("tb");
    await hostA.connect("a0", hostB, "b0");
    await hostA.ip("addr add 10.0.0.1/24 dev a0");
    await hostB.ip("addr add 10.0.0.2/24 dev b0");
    return new Pair(hostA, hostB, new Puppet(hostA, plain), new Puppet(hostB, plain));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.a[Symbol.asyncDispose]();
      await this.b[Symbol.asyncDispose]();
    } finally {
      await this.hostA[Symbol.asyncDispose]();
      await this.hostB[Symbol.asyncDispose]();
    }
  }
}

/** Looks at addresses and interfaces until something has changed to open, as the daemon does each second. */
async function untilOpen(puppet: Puppet): Promise<string[]> {
  const changed: string[] = [];
  for (let i = 0; i < 30 && !changed.at(-1)?.endsWith(" open"); i++) {
    changed.push(...(await puppet.obey({ do: "maintain" })).changed);
    await puppet.obey({ do: "sleep" });
  }
  return changed;
}

function addresses(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}.${Math.floor(i / 250)}.${i % 250 + 1}`);
}

for (const plain of [false, true]) {
  const path = plain ? "receive()/send()" : "recvmmsg/sendmmsg";

  Deno.test(`${path}: datagrams travel both ways, each with its peer, address and interface`, async () => {
    await using pair = await Pair.create(plain);
    const { a, b } = pair;
    await a.obey({ do: "acquire", at: A0 });
    await b.obey({ do: "acquire", at: B0 });
    const { claimed } = await a.obey({ do: "send", at: A0, peers: ["10.0.0.2"], hex: PACKET });
    assertEquals(claimed, 1);
    const atB = await b.obey({ do: "receive", count: 1 });
    assertEquals(atB.heard, [{ ...B0, peer: "10.0.0.1", length: 40, hex: PACKET }]);
    await b.obey({ do: "send", at: B0, peers: ["10.0.0.1", "10.0.0.1"], hex: PACKET });
    const atA = await a.obey({ do: "receive", count: 2 });
    assertEquals(atA.heard.map(({ peer, hex }) => [peer, hex === PACKET]), [
      ["10.0.0.2", true],
      ["10.0.0.2", true],
    ]);
    const { counters, pointToPoint } = atA.endpoints[0]!;
    assertEquals([counters.rxDatagrams, counters.txDatagrams, counters.opens], [2, 1, 1]);
    assertEquals([counters.readErrors, counters.writeErrors, pointToPoint], [0, 0, false] as never);
  });

  Deno.test(`${path}: a batch larger than its buffers arrives whole`, async () => {
    await using pair = await Pair.create(plain);
    const { a, b } = pair;
    await a.obey({ do: "acquire", at: A0 });
    await b.obey({ do: "acquire", at: B0 });
    await a.obey({ do: "send", at: A0, peers: new Array(900).fill("10.0.0.2"), hex: PACKET });
    let arrived = 0;
    for (let i = 0; i < 50 && arrived < 900; i++) {
      await b.obey({ do: "sleep" });
      arrived = (await b.obey({ do: "drain" })).endpoints[0]!.counters.rxDatagrams;
    }
    assertEquals(arrived, 900);
    const { counters } = (await a.obey({ do: "drain" })).endpoints[0]!;
    assertEquals([counters.txDatagrams, counters.writeErrors], [900, 0]);
  });

  Deno.test(`${path}: datagrams leave with TTL 255, DSCP CS6 and the mark of the probes`, async () => {
    await using pair = await Pair.create(plain);
    const { a, hostA } = pair;
    await hostA.exec(["nft", "add table ip t"]);
    await hostA.exec(["nft", "add chain ip t out { type filter hook output priority 0; }"]);
    const udp = "add rule ip t out udp dport 44880 udp sport 44880 counter";
    const match =
      "add rule ip t out meta mark 44880 ip ttl 255 ip dscp cs6 udp dport 44880 counter";
    for (const rule of [udp, match]) await hostA.exec(["nft", rule]);
    await a.obey({ do: "acquire", at: A0 });
    await a.obey({ do: "send", at: A0, peers: ["10.0.0.2", "10.0.0.2"], hex: PACKET });
    await a.obey({ do: "sleep" });
    const rules = await hostA.exec(["nft", "list chain ip t out"]);
    assertEquals([...rules.matchAll(/packets (\d+)/g)].map(([, n]) => n), ["2", "2"]);
  });

  Deno.test(`${path}: two interfaces with the same local address have a socket each`, async () => {
    await using pair = await Pair.create(plain);
    const { a, b, hostA, hostB } = pair;
    await hostA.connect("a1", hostB, "b1");
    await hostA.ip("addr add 10.0.0.1/32 dev a1");
    await hostA.ip("route add 10.0.1.0/24 dev a1 src 10.0.0.1");
    await hostB.ip("addr add 10.0.1.2/24 dev b1");
    await hostB.ip("route add 10.0.0.1/32 dev b1 metric 9");
    const a1 = { dev: "a1", address: "10.0.0.1" };
    const b1 = { dev: "b1", address: "10.0.1.2" };
    for (const at of [A0, a1]) await a.obey({ do: "acquire", at });
    for (const at of [B0, b1]) await b.obey({ do: "acquire", at });
    await b.obey({ do: "send", at: B0, peers: ["10.0.0.1"], hex: PACKET });
    await b.obey({ do: "send", at: b1, peers: ["10.0.0.1"], hex: PACKET });
    const { heard, endpoints } = await a.obey({ do: "receive", count: 2 });
    assertEquals(heard.map(({ dev, peer }) => `${dev} ${peer}`).sort(), [
      "a0 10.0.0.2",
      "a1 10.0.1.2",
    ]);
    assertEquals(endpoints.map(({ open }) => open), [true, true]);
    await a.obey({ do: "send", at: a1, peers: ["10.0.1.2"], hex: PACKET });
    const answer = await b.obey({ do: "receive", count: 1 });
    assertEquals(answer.heard.map(({ dev, peer }) => `${dev} ${peer}`), ["b1 10.0.0.1"]);
    // The address is shared among ourselves only.
    await using other = new Puppet(hostA, plain);
    const refused = await other.obey({ do: "acquire", at: A0 });
    assertEquals(refused.endpoints[0]!.open, false);
  });

  Deno.test(`${path}: the same interface and address is one socket, closed with its last user`, async () => {
    await using pair = await Pair.create(plain);
    const { a } = pair;
    await a.obey({ do: "acquire", at: A0 });
    const twice = await a.obey({ do: "acquire", at: A0 });
    assertEquals([twice.endpoints.length, twice.endpoints[0]!.counters.opens], [1, 1]);
    assertEquals((await a.obey({ do: "release", at: A0 })).endpoints.length, 1);
    assertEquals((await a.obey({ do: "release", at: A0 })).endpoints.length, 0);
    await a.obey({ do: "acquire", at: A0 });
    const anew = await a.obey({ do: "reacquire", at: A0 });
    assertEquals(anew.endpoints[0]!.reason, null);
  });

  Deno.test(`${path}: a port in use is waited for, with the reason, and taken when it is free`, async () => {
    await using pair = await Pair.create(plain);
    await using other = new Puppet(pair.hostA, plain);
    await other.obey({ do: "acquire", at: A0 });
    const { a } = pair;
    let [endpoint] = (await a.obey({ do: "acquire", at: A0 })).endpoints;
    assertEquals([endpoint!.open, endpoint!.reason], [
      false,
      "port 44880 on 10.0.0.1 is in use by another process",
    ] as never);
    assertEquals(
      (await a.obey({ do: "send", at: A0, peers: ["10.0.0.2"], hex: PACKET })).claimed,
      0,
    );
    const waiting = await a.obey({ do: "maintain" });
    assertEquals([waiting.changed, waiting.endpoints[0]!.counters.openErrors], [[], 2] as never);
    await other.obey({ do: "release", at: A0 });
    assertEquals(await untilOpen(a), ["a0 10.0.0.1 open"]);
    [endpoint] = (await a.obey({ do: "drain" })).endpoints;
    assertEquals([endpoint!.open, endpoint!.reason], [true, null] as never);
  });

  Deno.test(`${path}: an address that is missing, comes, goes and comes again`, async () => {
    await using pair = await Pair.create(plain);
    const { a, b, hostA } = pair;
    const late: Bound = { dev: "a0", address: "10.0.0.9" };
    const missing = await a.obey({ do: "acquire", at: late });
    assertEquals(missing.endpoints[0]!.reason, "address 10.0.0.9 is not on this host");
    await hostA.ip("addr add 10.0.0.9/24 dev a0");
    assertEquals((await a.obey({ do: "maintain" })).changed, ["a0 10.0.0.9 open"]);

    await hostA.ip("addr del 10.0.0.9/24 dev a0");
    await a.obey({ do: "send", at: late, peers: ["10.0.0.2"], hex: PACKET });
    await a.obey({ do: "sleep" });
    const lost = await a.obey({ do: "maintain" });
    assertEquals(lost.changed, ["a0 10.0.0.9 address 10.0.0.9 is gone"]);
    assertEquals(lost.endpoints[0]!.counters.writeErrors, 1);

    await hostA.ip("addr add 10.0.0.9/24 dev a0");
    assertEquals((await a.obey({ do: "maintain" })).changed, ["a0 10.0.0.9 open"]);
    await b.obey({ do: "acquire", at: B0 });
    await a.obey({ do: "send", at: late, peers: ["10.0.0.2"], hex: PACKET });
    assertEquals((await b.obey({ do: "receive", count: 1 })).heard.length, 1);
    await b.obey({ do: "send", at: B0, peers: ["10.0.0.9"], hex: PACKET });
    assertEquals((await a.obey({ do: "receive", count: 1 })).heard.length, 1);
  });

  Deno.test(`${path}: an interface that is deleted, made anew, and replaced between two looks`, async () => {
    await using pair = await Pair.create(plain);
    const { a, b, hostA, hostB } = pair;
    const rebuild = async () => {
      await hostA.connect("a0", hostB, "b0");
      await hostA.ip("addr add 10.0.0.1/24 dev a0");
      await hostB.ip("addr add 10.0.0.2/24 dev b0");
    };
    await a.obey({ do: "acquire", at: A0 });
    await b.obey({ do: "acquire", at: B0 });
    await hostA.ip("link del a0");
    assertEquals((await a.obey({ do: "maintain" })).changed, ["a0 10.0.0.1 interface a0 is gone"]);
    const [gone] = (await a.obey({ do: "maintain" })).endpoints;
    assertEquals([gone!.open, gone!.reason], [false, "interface a0 does not exist"] as never);
    await rebuild();
    assertEquals((await a.obey({ do: "maintain" })).changed, ["a0 10.0.0.1 open"]);
    assertEquals((await b.obey({ do: "maintain" })).changed, [
      "b0 10.0.0.2 interface was recreated",
      "b0 10.0.0.2 open",
    ]);
    await a.obey({ do: "send", at: A0, peers: ["10.0.0.2"], hex: PACKET });
    assertEquals((await b.obey({ do: "receive", count: 1 })).heard.length, 1);
  });

  Deno.test(`${path}: a link that was down and comes back is told`, async () => {
    await using pair = await Pair.create(plain);
    const { a, hostA } = pair;
    await a.obey({ do: "acquire", at: A0 });
    await hostA.ip("link set a0 down");
    assertEquals((await a.obey({ do: "maintain" })).changed, []);
    await hostA.ip("link set a0 up");
    assertEquals(await untilOpen(a), ["a0 10.0.0.1 open"]);
  });

  Deno.test(`${path}: an interface that does not exist is waited for, and named`, async () => {
    await using pair = await Pair.create(plain);
    const { a } = pair;
    const { endpoints } = await a.obey({
      do: "acquire",
      at: { dev: "nope0", address: "10.0.0.1" },
    });
    assertEquals(endpoints[0]!.reason, "interface nope0 does not exist");
  });

  Deno.test(`${path}: longer datagrams keep their length and do not spill into others`, async () => {
    await using pair = await Pair.create(plain);
    const { a, b } = pair;
    await a.obey({ do: "acquire", at: A0 });
    await b.obey({ do: "acquire", at: B0 });
    for (const length of [1_400, 0, 1, 64, 65]) {
      await b.obey({ do: "raw", from: "10.0.0.2", to: "10.0.0.1", length, count: 1 });
    }
    await b.obey({ do: "send", at: B0, peers: ["10.0.0.1"], hex: PACKET });
    const { heard } = await a.obey({ do: "receive", count: 6 });
    assertEquals(heard.map(({ length }) => length), [1_400, 0, 1, 64, 65, 40]);
    assertEquals(heard.at(-1)!.hex, PACKET);
    assertEquals(heard[0]!.hex, "ab".repeat(64));
  });

  Deno.test(`${path}: packets of another port or interface are not heard`, async () => {
    await using pair = await Pair.create(plain);
    const { a, b, hostA, hostB } = pair;
    await hostA.connect("a1", hostB, "b1");
    await hostB.ip("addr add 10.0.1.2/24 dev b1");
    await hostB.ip("route add 10.0.0.1/32 dev b1 metric 9");
    await hostA.ip("route add 10.0.1.0/24 dev a1");
    await a.obey({ do: "acquire", at: A0 });
    const b1 = { dev: "b1", address: "10.0.1.2" };
    for (const at of [B0, b1]) await b.obey({ do: "acquire", at });
    const wrong = await b.obey({ do: "send", at: b1, peers: ["10.0.0.1"], hex: PACKET });
    assertEquals(wrong.claimed, 1);
    await b.obey({ do: "send", at: B0, peers: ["10.0.0.1"], hex: PACKET });
    const { heard } = await a.obey({ do: "receive", count: 1 });
    await a.obey({ do: "sleep" });
    const later = await a.obey({ do: "drain" });
    assertEquals([...heard, ...later.heard].map(({ peer }) => peer), ["10.0.0.2"]);
  });
}

Deno.test("batched: a refused packet is its own peer's failure, and nothing else is lost", async () => {
  await using pair = await Pair.create(false);
  const { a, b, hostA, hostB } = pair;
  await hostB.ip("route add local 10.2.0.0/16 dev lo");
  await hostA.ip("route add 10.2.0.0/16 via 10.0.0.2");
  for (
    const setting of ["icmp_ratelimit=0", "icmp_msgs_per_sec=1000000", "icmp_msgs_burst=100000"]
  ) {
    await hostB.exec(["sysctl", "-qw", `net.ipv4.${setting}`]);
  }
  // More than are fetched from the queue of errors at a time.
  const refusing = addresses("10.2", 200);
  await a.obey({ do: "acquire", at: A0 });
  await b.obey({ do: "acquire", at: B0 });
  const peers = refusing.flatMap((peer, i) => i % 10 === 0 ? ["10.0.0.2", peer] : [peer]);
  let arrived = 0;
  const failed = new Map<string, number>();
  for (let round = 0; round < 3; round++) {
    for (const order of ["send", "sleep", "drain"] as const) {
      const answer = await a.obey(
        order === "send" ? { do: "send", at: A0, peers, hex: PACKET } : { do: order },
      );
      for (const { peer, reason } of answer.failed) {
        assertEquals(reason, "connection refused");
        failed.set(peer, (failed.get(peer) ?? 0) + 1);
      }
    }
    arrived += (await b.obey({ do: "receive", count: 20 })).heard.length;
  }
  assertEquals(failed.get("10.0.0.2"), undefined, "a healthy peer was blamed");
  assertEquals(arrived, 60, "packets to the healthy peer");
  assertEquals(failed.size, 200);
  const { endpoints } = await a.obey({ do: "drain" });
  const { connectionRefused, readErrors, txDatagrams } = endpoints[0]!.counters;
  assertEquals([connectionRefused, readErrors, txDatagrams], [600, 0, 3 * 220]);
});

Deno.test("plain: peers that refuse disturb nobody else", async () => {
  await using pair = await Pair.create(true);
  const { a, b, hostB } = pair;
  await hostB.ip("addr add 10.0.0.3/24 dev b0");
  await a.obey({ do: "acquire", at: A0 });
  await b.obey({ do: "acquire", at: B0 });
  let arrived = 0;
  for (let round = 0; round < 4; round++) {
    const peers = ["10.0.0.3", "10.0.0.2", "10.0.0.3"];
    await a.obey({ do: "send", at: A0, peers, hex: PACKET });
    arrived += (await b.obey({ do: "receive", count: 1 })).heard.length;
    await a.obey({ do: "sleep" });
  }
  assertEquals(arrived, 4);
  assertEquals((await a.obey({ do: "drain" })).endpoints[0]!.open, true);
  const icmp = await hostB.exec(["cat", "/proc/net/snmp"]);
  const [, names, values] = /IcmpMsg: (.*)\nIcmpMsg: (.*)/.exec(icmp)!;
  const refusals = Number(values!.split(" ")[names!.split(" ").indexOf("OutType3")]);
  assert(refusals > 0, "the peer refused nothing");
});

Deno.test("batched: a flood at one socket holds up neither the others nor the verdict for ever", async () => {
  await using pair = await Pair.create(false);
  const { a, b, hostA } = pair;
  await hostA.ip("addr add 10.0.0.9/24 dev a0");
  const quiet: Bound = { dev: "a0", address: "10.0.0.9" };
  for (const at of [A0, quiet]) await a.obey({ do: "acquire", at });
  await a.obey({ do: "waking", on: false });
  await b.obey({ do: "acquire", at: B0 });
  await b.obey({ do: "raw", from: "10.0.0.2", to: "10.0.0.1", length: 40, count: 12_000 });
  await b.obey({ do: "send", at: B0, peers: ["10.0.0.9"], hex: PACKET });
  await a.obey({ do: "sleep" });
  const first = await a.obey({ do: "drain" });
  const rx = (answer: Answer) => answer.endpoints.map(({ counters }) => counters.rxDatagrams);
  const [flooded, other] = rx(first);
  assertEquals([first.drained, other], [false, 1]);
  assert(flooded! >= 8_192 && flooded! < 12_000, `${flooded} in one turn`);
  const second = await a.obey({ do: "drain" });
  assertEquals([second.drained, rx(second)], [true, [12_000, 1]] as never);
});

Deno.test("batched: arriving packets wake the loop when it wants that, and do not when it does not", async () => {
  await using pair = await Pair.create(false);
  const { a, b } = pair;
  await a.obey({ do: "acquire", at: A0 });
  await b.obey({ do: "acquire", at: B0 });
  await b.obey({ do: "send", at: B0, peers: ["10.0.0.1"], hex: PACKET });
  const woken = await a.obey({ do: "sleep" });
  assertEquals([woken.wakes, woken.heard.length], [1, 1]);
  await a.obey({ do: "waking", on: false });
  // The one receive() that is under way may still take a datagram; none after it.
  for (let i = 0; i < 5; i++) {
    await b.obey({ do: "send", at: B0, peers: ["10.0.0.1"], hex: PACKET });
  }
  const muted = await a.obey({ do: "sleep" });
  assert(muted.wakes <= 1, `${muted.wakes} wakes`);
  const drained = await a.obey({ do: "drain" });
  assertEquals(muted.heard.length + drained.heard.length, 5);
  await a.obey({ do: "waking", on: true });
  await b.obey({ do: "send", at: B0, peers: ["10.0.0.1"], hex: PACKET });
  assertEquals((await a.obey({ do: "sleep" })).wakes >= 1, true);
});
