/**
 * Runs inside the namespace: lists, replaces and deletes at scale and prints what it took as JSON. The
 * loop is watched by a task that runs in every turn of it.
 *
 * Arguments: how many routes of ours the table holds, how often to list them, how many routes to replace
 * and delete, how often.
 */

import { setImmediate } from "node:timers";
import { NetlinkKernel } from "../../src/kernel/netlink_kernel.ts";
import { ours, route } from "../unit/kernel/contract.ts";
import type { KernelResult } from "../../src/kernel/kernel.ts";

/** One piece of work: how long it took, and how the loop fared meanwhile. */
export interface Figures {
  readonly ms: number;
  /** Turns of the loop meanwhile. */
  readonly turns: number;
  /** The longest time between two turns, in ms; what other programs took of the processor included. */
  readonly longestGapMs: number;
  /** The most that the loop's thread computed between two turns, in ms: for how long we held it up. */
  readonly longestHoldMs: number;
  /** Requests that failed, or routes that are missing from a list. */
  readonly wrong: number;
}

/** What the child prints. */
export interface ScaleReport {
  /** Lists that the kernel filters, and one that we filter. */
  readonly lists: Figures[];
  readonly unfilteredList: Figures;
  readonly replace: Figures[];
  readonly delete: Figures[];
  /** Resident memory in MiB after each list, and after each round of replacing and deleting. */
  readonly listRssMiB: number[];
  readonly rssMiB: number[];
  readonly counters: NetlinkKernel["counters"];
}

const CLOCK_THREAD_CPUTIME_ID = 3;
// deno-lint-ignore livenessd/memory -- a clock that only this measurement needs
const { symbols: { clock_gettime } } = Deno.dlopen("libc.so.6", {
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
});
const time = new BigInt64Array(2);

/** Processor time of this thread so far, in ms; what /proc says of it is only as fine as the tick. */
function computed(): number {
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, time);
  return Number(time[0]) * 1e3 + Number(time[1]) / 1e6;
}

async function measure(work: () => Promise<number>): Promise<Figures> {
  let turns = 0;
  let longestGapMs = 0;
  let longestHoldMs = 0;
  let watching = true;
  const start = performance.now();
  let last = start;
  let lastComputed = computed();
  const watch = () => {
    const now = performance.now();
    longestGapMs = Math.max(longestGapMs, now - last);
    last = now;
    const held = computed();
    longestHoldMs = Math.max(longestHoldMs, held - lastComputed);
    lastComputed = held;
    turns++;
    if (watching) setImmediate(watch);
  };
  setImmediate(watch);
  const wrong = await work();
  watching = false;
  return { ms: performance.now() - start, turns, longestGapMs, longestHoldMs, wrong };
}

async function measureList(kernel: NetlinkKernel, expected: number): Promise<Figures> {
  return await measure(async () => {
    const result = await kernel.list({ protocol: ours });
    if (!result.ok) throw new Error(result.error.text);
    return Math.abs(result.routes.length - expected);
  });
}

/** Resident memory in MiB, garbage collected. */
function residentMiB(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return Math.round(Deno.memoryUsage().rss / 2 ** 20);
}

const [present, listings, count, rounds] = Deno.args.map(Number);
const kernel = NetlinkKernel.open();
// As the daemon does: the kernel then has to tell of every change, also of our own.
kernel.subscribe(() => {});

const routes = Array.from(
  { length: count },
  (_, i) => route({ dst: `10.60.${i >> 8}.${i & 255}/32` }),
);
/** Asks for all, 250 in a turn of the loop: to ask takes time too. */
async function failures(ask: (index: number) => Promise<KernelResult>): Promise<number> {
  const answers: Promise<KernelResult>[] = [];
  for (let i = 0; i < count; i++) {
    if (i % 250 === 0) await new Promise((turned) => setImmediate(turned));
    answers.push(ask(i));
  }
  return (await Promise.all(answers)).filter(({ ok }) => !ok).length;
}

const replace: Figures[] = [];
const removal: Figures[] = [];
const rssMiB: number[] = [];
for (let round = 0; round < rounds; round++) {
  replace.push(await measure(() => failures((i) => kernel.replace(routes[i]))));
  removal.push(await measure(() => failures((i) => kernel.delete(routes[i]))));
  rssMiB.push(residentMiB());
}

const lists: Figures[] = [];
const listRssMiB: number[] = [];
for (let listing = 0; listing < listings; listing++) {
  lists.push(await measureList(kernel, present));
  listRssMiB.push(residentMiB());
}
const lenient = NetlinkKernel.open({ strictCheck: false });
const unfilteredList = await measureList(lenient, present);
lenient.close();

const { counters } = kernel;
kernel.close();
const report: ScaleReport = {
  lists,
  unfilteredList,
  replace,
  delete: removal,
  listRssMiB,
  rssMiB,
  counters,
};
console.log(JSON.stringify(report));
