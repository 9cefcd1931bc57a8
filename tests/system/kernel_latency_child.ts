/**
 * Runs inside the namespace: how long after a route's deletion the monitor's listener knows of it. A
 * second process (this program with the argument `delete`) deletes and notes the time when it asks: what
 * the kernel takes for it is part of the figures. When it is done, the listener often knows already.
 *
 * Arguments: `idle` or `busy` (the loop computes 1 ms of every 2), how many deletions.
 */

import { REQUEST_SIZE, RequestWriter } from "../../ffi/netlink.ts";
import { NetlinkSocket } from "../../ffi/netlink_socket.ts";
import { parseAddress } from "../../src/kernel/ipv4.ts";
import { NetlinkKernel } from "../../src/kernel/netlink_kernel.ts";
import { ours, route } from "../unit/kernel/contract.ts";

/** What the child prints: latencies in µs, ascending. */
export interface LatencyReport {
  readonly latencies: number[];
  readonly named: number;
}

/** Microseconds that processes of one machine agree on, which `performance.timeOrigin` is too coarse for. */
function now(): number {
  return Number(Temporal.Now.instant().epochNanoseconds / 100n) / 10;
}

function prefix(i: number): string {
  return `10.60.${i >> 8}.${i & 255}/32`;
}

async function deleteAll(count: number): Promise<number[]> {
  using socket = new NetlinkSocket({ bufferSize: 1 << 20 });
  const writer = new RequestWriter();
  const request = new Uint8Array(REQUEST_SIZE);
  const answer = new Uint8Array(4096);
  const base = { table: 254, prefixLength: 32, src: null, ifindex: 0, protocol: ours, metric: 0 };
  const via = parseAddress("10.9.0.100")!;
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, 3));
    const dst = parseAddress(prefix(i).slice(0, -3))!;
    const size = writer.deleteRoute({ ...base, dst, via }, i, request, 0);
    times.push(now());
    socket.send(request, size);
    socket.receive(answer);
  }
  return times;
}

async function watch(busy: boolean, count: number): Promise<LatencyReport> {
  const kernel = NetlinkKernel.open();
  const setup = Array.from({ length: count }, (_, i) => route({ dst: prefix(i), src: null }));
  for (const { ok } of await Promise.all(setup.map((each) => kernel.replace(each)))) {
    if (!ok) throw new Error("cannot install");
  }
  const heard = new Map<string, number>();
  let named = 0;
  kernel.subscribe((change) => {
    if (change.kind !== "route_removed") return;
    heard.set(change.route.dst, now());
    if (change.actor.command === "deno" && change.actor.certain) named++;
  });
  await kernel.acquainted();
  const timer = busy ? setInterval(compute, 2) : 0;
  const args = ["run", "-A", import.meta.filename!, "delete", String(count)];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args }).output();
  clearInterval(timer);
  kernel.close();
  const deleted: number[] = JSON.parse(new TextDecoder().decode(stdout));
  const latencies = deleted.map((time, i) => Math.round((heard.get(prefix(i)) ?? Infinity) - time));
  return { latencies: latencies.sort((a, b) => a - b), named };
}

function compute(): void {
  const start = performance.now();
  while (performance.now() - start < 1);
}

const [mode, count] = Deno.args;
const result = mode === "delete"
  ? await deleteAll(Number(count))
  : await watch(mode === "busy", Number(count));
console.log(JSON.stringify(result));
