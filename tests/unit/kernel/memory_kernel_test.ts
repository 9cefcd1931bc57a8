import { assert, assertEquals } from "@std/assert";
import { MemoryKernel } from "../../../src/kernel/memory_kernel.ts";
import { contract, listed, ours, route, text, world } from "./contract.ts";
import type { KernelResult } from "../../../src/kernel/kernel.ts";
import type { Route } from "../../../src/kernel/route.ts";

/** The contract's world as the twin is told it. */
function resolve({ via, src, dev }: Route) {
  if (dev === "lo") return 1;
  if (dev !== null && dev !== world.dev) return "no_device";
  if (!world.onLink(via)) return "unreachable";
  return src === null || world.sources.some((local) => local === src) ? 2 : "invalid";
}

for (const { name, run } of contract) {
  Deno.test(`in memory: ${name}`, () => run(new MemoryKernel({ resolve })));
}

Deno.test("in memory: answers wait for the scheduler and come in the order of the requests", async () => {
  const calls: (() => void)[] = [];
  const kernel = new MemoryKernel({ schedule: (answer) => calls.push(answer) });
  const answered: string[] = [];
  const note = (name: string) => ({ ok }: KernelResult) => answered.push(`${name} ${ok}`);
  const first = kernel.replace(route()).then(note("replace"));
  const second = kernel.delete(route()).then(note("delete"));
  await Promise.resolve();
  assertEquals([answered, kernel.pending, calls.length], [[], 2, 2]);
  // Whichever call comes first, the first request is the first to be served.
  calls[1]();
  await first;
  assertEquals([answered, kernel.pending], [["replace true"], 1]);
  assert(kernel.has(route()));
  calls[0]();
  await second;
  assertEquals([answered, kernel.pending], [["replace true", "delete true"], 0]);
  assert(!kernel.has(route()));
});

Deno.test("in memory: the next requests fail as told, take no effect and are counted", async () => {
  const kernel = new MemoryKernel();
  kernel.failNext(2, "busy");
  const results = await Promise.all([
    kernel.replace(route()),
    kernel.list({}),
    kernel.replace(route({ via: "10.9.0.101" })),
  ]);
  assertEquals(results.map((result) => result.ok ? "ok" : result.error.code), [
    "busy",
    "busy",
    "ok",
  ]);
  assertEquals(await listed(kernel), [text(route({ via: "10.9.0.101" }))]);
  assertEquals(kernel.served, { replace: 2, delete: 0, list: 2, addRule: 0, deleteRule: 0 });
  assertEquals([kernel.counters.requests, kernel.counters.failures], [4, 2]);
});

Deno.test("in memory: a judge decides request by request while it holds", async () => {
  const kernel = new MemoryKernel();
  kernel.failWhen((request) =>
    request.kind === "replace" && request.route.table === 100 ? "permission" : null
  );
  assertEquals((await kernel.replace(route())).ok, true);
  assertEquals((await kernel.replace(route({ table: 100 }))).ok, false);
  kernel.failWhen(null);
  assertEquals((await kernel.replace(route({ table: 100 }))).ok, true);
});

Deno.test("in memory: another process puts and removes routes at once", async () => {
  const kernel = new MemoryKernel();
  await kernel.replace(route());
  assert(kernel.remove(route()));
  assert(!kernel.remove(route()));
  assertEquals(await listed(kernel), []);
  const foreign = {
    table: 254,
    dst: "10.50.0.1/32",
    via: null,
    src: null,
    ifindex: 7,
    protocol: ours,
    metric: 0,
  };
  kernel.put(foreign);
  assertEquals(kernel.routes({ protocol: ours, table: 254 }), [foreign]);
  assertEquals(kernel.served.replace, 1);
});
