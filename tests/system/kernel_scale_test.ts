import { assert, assertEquals } from "@std/assert";
import { createWorld, report } from "./kernel_world.ts";
import type { Figures, ScaleReport } from "./kernel_scale_child.ts";
import { ours } from "../unit/kernel/contract.ts";
import type { NetworkNamespace } from "./netns.ts";

const child = new URL("./kernel_scale_child.ts", import.meta.url);

async function scale(namespace: NetworkNamespace, ...args: number[]): Promise<ScaleReport> {
  return await report(namespace, child, args.map(String)) as ScaleReport;
}

function figures(name: string, figures: Figures, requests = 1): void {
  const { ms, turns, longestGapMs, longestHoldMs } = figures;
  const each = requests > 1 ? `, ${(ms * 1000 / requests).toFixed(1)} µs each` : "";
  console.log(
    `  ${name}: ${ms.toFixed(1)} ms${each}; loop held up to ${longestHoldMs.toFixed(1)} ms, ` +
      `longest gap ${longestGapMs.toFixed(1)} ms in ${turns} turns`,
  );
}

function* routeLines(verb: string, net: number, count: number, protocol: number) {
  for (let i = 0; i < count; i++) {
    const dst = `${net}.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32`;
    yield `route ${verb} ${dst} via 10.9.0.100 src 10.9.0.1 proto ${protocol}`;
  }
}

Deno.test("a list of 5,000 routes among 200,000 foreign ones is exact, lets the loop turn and costs no memory", async () => {
  await using namespace = await createWorld("list");
  // As beside the daemon: with any rule of its own the kernel keeps the tables main and local apart.
  await namespace.ip("rule add fwmark 44880 lookup 44880 priority 90");
  await namespace.ipBatch(routeLines("add", 20, 200_000, 99));
  await namespace.ipBatch(routeLines("add", 30, 5_000, ours));
  const { lists, unfilteredList, listRssMiB, counters } = await scale(namespace, 5_000, 20, 0, 0);
  figures("filtered by the kernel, first", lists[0]);
  figures("filtered by the kernel, last", lists[19]);
  figures("filtered by ourselves", unfilteredList);
  console.log(`  resident MiB by list: ${listRssMiB.join(" ")}`);
  assertEquals([...lists, unfilteredList].map(({ wrong }) => wrong), Array(21).fill(0));
  assertEquals([counters.requests, counters.dumps, counters.unreadable], [20, 20, 0]);
  // 12 parts are read in the one and some 370 in the other, each in a turn of its own.
  for (const { turns, longestHoldMs } of lists) {
    assert(turns > 12, `${turns} turns`);
    assert(longestHoldMs < 5, `a list held the loop up for ${longestHoldMs} ms`);
  }
  assert(unfilteredList.turns > 370, `${unfilteredList.turns} turns`);
  // 5,000 routes take some 2 MiB: ten lists that stayed, after the heap has settled, would be 20.
  const grown = listRssMiB[19] - listRssMiB[9];
  assert(grown < 10, `grew by ${grown} MiB: ${listRssMiB}`);
});

Deno.test("10,000 replacements and deletions succeed ten times over, as fast as ip -batch, without growing the process", async () => {
  await using namespace = await createWorld("pace");
  const batch = async (verb: string) => {
    const start = performance.now();
    await namespace.ipBatch(routeLines(verb, 40, 10_000, ours));
    return performance.now() - start;
  };
  const theirs = { install: Infinity, withdraw: Infinity };
  for (let round = 0; round < 3; round++) {
    theirs.install = Math.min(theirs.install, await batch("replace"));
    theirs.withdraw = Math.min(theirs.withdraw, await batch("del"));
  }
  const { install, withdraw } = theirs;
  console.log(
    `  ip -batch, best: install ${install.toFixed(0)} ms, withdraw ${withdraw.toFixed(0)} ms`,
  );
  const result = await scale(namespace, 0, 0, 10_000, 10);
  for (const [round, each] of result.replace.entries()) figures(`replace ${round}`, each, 10_000);
  figures("delete 0", result.delete[0], 10_000);
  figures("delete 9", result.delete[9], 10_000);
  const fastest = (rounds: readonly Figures[]) => Math.min(...rounds.map(({ ms }) => ms));
  const ratios = [
    [fastest(result.replace) / install, fastest(result.delete) / withdraw],
    [result.replace[0].ms / install, result.delete[0].ms / withdraw],
  ].map((pair) => pair.map((ratio) => ratio.toFixed(2)).join(" and "));
  console.log(`  ratio to ip -batch: ${ratios[0]}; first round, code still cold: ${ratios[1]}`);
  console.log(`  resident MiB by round: ${result.rssMiB.join(" ")}`);
  for (const { wrong, turns, longestHoldMs } of [...result.replace, ...result.delete]) {
    assertEquals(wrong, 0);
    assert(turns >= 10_000 / 64, `${turns} turns: the loop was held up`);
    assert(longestHoldMs <= 10, `the loop was held up for ${longestHoldMs} ms`);
  }
  assert(fastest(result.replace) <= install && fastest(result.delete) <= withdraw);
  assertEquals(result.counters.requests, 200_000);
  assertEquals([result.counters.failures, result.counters.overruns], [0, 0]);
  // 100,000 requests after the heap has settled: one leaked message (4 KiB) each would be 390 MiB, one
  // leaked route object 24 MiB at the least.
  const grown = result.rssMiB[9] - result.rssMiB[4];
  assert(grown < 20, `grew by ${grown} MiB: ${result.rssMiB}`);
});
