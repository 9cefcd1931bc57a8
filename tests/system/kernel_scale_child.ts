/**
 * Runs inside the namespace: lists, replaces and deletes at scale and prints what it took as JSON. The
 * loop is watched by a task that runs in every turn of it.
 *
 * Arguments: how many routes of ours the table holds, how many to replace and delete, how often.
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
  /** The longest time between two turns, in ms. */
  readonly longestGapMs: number;
  /** Requests that failed, or routes that are missing from a list. */
  readonly wrong: number;
}

/** What the child prints. */
export interface ScaleReport {
  readonly strictList: Figures;
  readonly unfilteredList: Figures;
  readonly replace: Figures[];
  readonly delete: Figures[];
  /** Resident memory in MiB after each round of replacing and deleting. */
  readonly rssMiB: number[];
  readonly counters: NetlinkKernel["counters"];
}

async function measure(work: () => Promise<number>): Promise<Figures> {
  let turns = 0;
  let longestGapMs = 0;
  let watching = true;
  const start = performance.now();
  let last = start;
  const watch = () => {
    const now = performance.now();
    longestGapMs = Math.max(longestGapMs, now - last);
    last = now;
    turns++;
    if (watching) setImmediate(watch);
  };
  setImmediate(watch);
  const wrong = await work();
  watching = false;
  return { ms: performance.now() - start, turns, longestGapMs, wrong };
}

async function measureList(kernel: NetlinkKernel, expected: number): Promise<Figures> {
  return await measure(async () => {
    const result = await kernel.list({ protocol: ours });
    if (!result.ok) throw new Error(result.error.text);
    return Math.abs(result.routes.length - expected);
  });
}

const [present, count, rounds] = Deno.args.map(Number);
const strict = NetlinkKernel.open();
const lenient = NetlinkKernel.open({ strictCheck: false });
const strictList = await measureList(strict, present);
const unfilteredList = await measureList(lenient, present);
lenient.close();

const routes = Array.from(
  { length: count },
  (_, i) => route({ dst: `10.60.${i >> 8}.${i & 255}/32` }),
);
const failures = async (ask: (index: number) => Promise<KernelResult>) =>
  (await Promise.all(routes.map((_, i) => ask(i)))).filter(({ ok }) => !ok).length;
const replace: Figures[] = [];
const removal: Figures[] = [];
const rssMiB: number[] = [];
for (let round = 0; round < rounds; round++) {
  replace.push(await measure(() => failures((i) => strict.replace(routes[i]))));
  removal.push(await measure(() => failures((i) => strict.delete(routes[i]))));
  (globalThis as { gc?: () => void }).gc?.();
  rssMiB.push(Math.round(Deno.memoryUsage().rss / 2 ** 20));
}
const report: ScaleReport = {
  strictList,
  unfilteredList,
  replace,
  delete: removal,
  rssMiB,
  counters: strict.counters,
};
strict.close();
console.log(JSON.stringify(report));
