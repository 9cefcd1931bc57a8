/**
 * Runs inside the namespace: what a list makes of the table that the test prepared, filtered by the
 * kernel and by ourselves, and what becomes of requests whose answers overrun the socket.
 */

import { setImmediate } from "node:timers";
import { NetlinkKernel } from "../../src/kernel/netlink_kernel.ts";
import { listed, ours, route } from "../unit/kernel/contract.ts";
import type { KernelCounters } from "../../src/kernel/kernel.ts";
import type { KernelRoute } from "../../src/kernel/route.ts";

/** What the child prints. */
export interface TableReport {
  readonly strict: KernelRoute[];
  readonly lenient: KernelRoute[];
  readonly unreadable: number;
  readonly overrun: {
    readonly answers: Record<string, number>;
    readonly listed: number;
    readonly afterwards: boolean;
    readonly counters: KernelCounters;
  };
  /** What fifty lists answered when the kernel was closed soon after, and how many were begun. */
  readonly closed: { readonly answers: string[]; readonly dumps: number };
}

async function routesSeen(strictCheck: boolean): Promise<[KernelRoute[], number]> {
  const kernel = NetlinkKernel.open({ strictCheck });
  const result = await kernel.list({ protocol: ours });
  if (!result.ok) throw new Error(result.error.text);
  kernel.close();
  const sorted = [...result.routes].sort((a, b) => a.dst.localeCompare(b.dst) || a.table - b.table);
  return [sorted, kernel.counters.unreadable];
}

async function overrun(): Promise<TableReport["overrun"]> {
  const kernel = NetlinkKernel.open({ answerBuffer: 1 });
  const protocol = 99;
  const requests = Array.from(
    { length: 64 },
    (_, i) => kernel.replace(route({ dst: `10.70.0.${i}/32`, protocol })),
  );
  const answers: Record<string, number> = {};
  for (const result of await Promise.all(requests)) {
    const word = result.ok ? "ok" : result.error.code;
    answers[word] = (answers[word] ?? 0) + 1;
  }
  const afterwards = (await kernel.replace(route({ dst: "10.70.1.0/32", protocol }))).ok;
  const { length } = await listed(kernel, { protocol });
  kernel.close();
  return { answers, listed: length, afterwards, counters: kernel.counters };
}

async function closeWhileListing(): Promise<TableReport["closed"]> {
  const kernel = NetlinkKernel.open();
  const lists = Array.from({ length: 50 }, () => kernel.list({}));
  // Each list takes several turns; in the second the first of them is in the hands of a thread.
  await new Promise((turned) => setImmediate(turned));
  await new Promise((turned) => setImmediate(turned));
  kernel.close();
  const answers = (await Promise.all(lists)).map((result) => result.ok ? "ok" : result.error.code);
  return { answers, dumps: kernel.counters.dumps };
}

const [strict, unreadable] = await routesSeen(true);
const [lenient, unreadableToo] = await routesSeen(false);
const report: TableReport = {
  strict,
  lenient,
  unreadable: unreadable + unreadableToo,
  overrun: await overrun(),
  closed: await closeWhileListing(),
};
console.log(JSON.stringify(report));
