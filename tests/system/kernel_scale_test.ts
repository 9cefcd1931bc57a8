import { assert, assertEquals } from "@std/assert";
import { createWorld, report } from "./kernel_world.ts";
import type { Figures, ScaleReport } from "./kernel_scale_child.ts";
import { ours } from "../unit/kernel/contract.ts";
import type { NetworkNamespace } from "./netns.ts";
import { kernelCounters } from "../../src/kernel/kernel.ts";

const child = new URL("./kernel_scale_child.ts", import.meta.url);

async function scale(namespace: NetworkNamespace, ...args: number[]): Promise<ScaleReport> {
  return await report(namespace, child, args.map(String)) as ScaleReport;
}

function figures(name: string, { ms, turns, longestGapMs }: Figures, requests = 1): void {
  const each = requests > 1 ? `, ${(ms * 1000 / requests).toFixed(1)} µs each` : "";
  const gap = longestGapMs.toFixed(1);
  console.log(`  ${name}: ${ms.toFixed(1)} ms${each}; longest gap ${gap} ms in ${turns} turns`);
}

function* routeLines(verb: string, net: number, count: number, protocol: number) {
  for (let i = 0; i < count; i++) {
    const dst = `${net}.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`;
    yield `route ${verb} ${dst} via 10.9.0.100 src 10.9.0.1 proto ${protocol}`;
  }
}

Deno.test("a list of 5,000 routes among 200,000 foreign ones is exact and lets the loop turn", async () => {
  await using namespace = await createWorld("list");
  // As beside the daemon: with any rule of its own the kernel keeps the tables main and local apart.
  await namespace.ip("rule add fwmark 44880 lookup 44880 priority 90");
  await namespace.ipBatch(routeLines("add", 20, 200_000, 99));
  await namespace.ipBatch(routeLines("add", 30, 5_000, ours));
  const { strictList, unfilteredList, counters } = await scale(namespace, 5_000, 0, 0);
  figures("filtered by the kernel", strictList);
  figures("filtered by ourselves", unfilteredList);
  assertEquals([strictList.wrong, unfilteredList.wrong], [0, 0]);
  assertEquals(counters, { ...kernelCounters(), requests: 1, dumps: 1 });
  // 12 parts are read in the one and some 370 in the other, each in a turn of its own.
  assert(strictList.turns > 12, `${strictList.turns} turns`);
  assert(unfilteredList.turns > 370, `${unfilteredList.turns} turns`);
});

Deno.test("10,000 replacements and deletions succeed ten times over without growing the process", async () => {
  await using namespace = await createWorld("pace");
  const start = performance.now();
  await namespace.ipBatch(routeLines("replace", 40, 10_000, ours));
  console.log(`  ip -batch: ${((performance.now() - start) / 10).toFixed(1)} µs a route`);
  await namespace.ipBatch(routeLines("del", 40, 10_000, ours));
  const result = await scale(namespace, 0, 10_000, 10);
  for (const [round, each] of result.replace.entries()) figures(`replace ${round}`, each, 10_000);
  figures("delete, last", result.delete[9], 10_000);
  console.log(`  resident MiB by round: ${result.rssMiB.join(" ")}`);
  for (const { wrong, turns } of [...result.replace, ...result.delete]) {
    assertEquals(wrong, 0);
    assert(turns >= 10_000 / 64, `${turns} turns: the loop was held up`);
  }
  assertEquals(result.counters.requests, 1 + 200_000);
  assertEquals([result.counters.failures, result.counters.overruns], [0, 0]);
  // 100,000 requests after the heap has settled: one leaked message (4 KiB) each would be 390 MiB, one
  // leaked route object 24 MiB at the least.
  const grown = result.rssMiB[9] - result.rssMiB[4];
  assert(grown < 20, `grew by ${grown} MiB: ${result.rssMiB}`);
});
