import { assert, assertEquals } from "@std/assert";
import { kernelActor, type KernelChange } from "../../../src/kernel/change.ts";
import {
  MemoryKernel,
  type MemoryKernelOptions,
  somebody,
} from "../../../src/kernel/memory_kernel.ts";
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
  Deno.test(`in memory: ${name}`, () => {
    const kernel = new MemoryKernel({ resolve });
    return run(kernel, kernel.asOther());
  });
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

/** A kernel and what it told, at once unless told otherwise. */
function watched(options: MemoryKernelOptions = {}): [MemoryKernel, KernelChange[]] {
  const kernel = new MemoryKernel({ notify: (_, tell) => tell(), ...options });
  const told: KernelChange[] = [];
  kernel.subscribe((change) => told.push(change));
  return [kernel, told];
}

function installed(parts: Partial<Route> = {}) {
  const { dev: _, ...there } = route(parts);
  return { ...there, ifindex: 2, metric: parts.metric ?? 0 };
}

Deno.test("in memory: what others do to routes is told with their name", () => {
  const [kernel, told] = watched();
  const networkd = { port: 812, pid: 812, command: "networkd", unit: null, certain: true };
  kernel.put(installed());
  kernel.put(installed({ via: "10.9.0.101" }), networkd);
  kernel.put(installed({ metric: 5 }));
  kernel.remove({ ...route(), via: "10.9.0.101", protocol: 0 }, networkd);
  assert(!kernel.remove(route({ dst: "10.77.0.0/24" })));
  const unicast = true;
  const added = { kind: "route_added", unicast };
  const second = installed({ via: "10.9.0.101" });
  assertEquals<unknown>(told, [
    { ...added, route: installed(), replaced: false, actor: somebody },
    { ...added, route: second, replaced: true, actor: networkd },
    { ...added, route: installed({ metric: 5 }), replaced: false, actor: somebody },
    { kind: "route_removed", route: second, unicast, replaced: false, actor: networkd },
  ]);
  assertEquals(kernel.counters.changes, 4);
});

Deno.test("in memory: routes vanish with their link without a word, and it returns with another index", async () => {
  const [kernel, told] = watched();
  const wanted = route({ dev: "tun0" });
  assert((await kernel.replace(wanted)).ok);
  kernel.setLink("tun0", "no carrier");
  assert(kernel.has(wanted));
  kernel.setLink("tun0", "down");
  assert(!kernel.has(wanted));
  const refused = await kernel.replace(wanted);
  assertEquals(refused.ok || refused.error.code, "no_device");
  const before = kernel.ifindex("tun0");
  kernel.setLink("tun0", "gone");
  assertEquals((await kernel.replace(wanted)).ok, false);
  kernel.setLink("tun0", "up");
  const after = kernel.ifindex("tun0");
  assert(after !== before);
  assert((await kernel.replace(wanted)).ok);
  assertEquals(kernel.routes().map(({ ifindex }) => ifindex), [after]);
  const link = { kind: "link", name: "tun0", actor: kernelActor, ifindex: before, present: true };
  assertEquals<unknown>(told, [
    { ...link, up: false, adminUp: true },
    { ...link, up: false, adminUp: false },
    { ...link, present: false, up: false, adminUp: false },
    { ...link, ifindex: after, up: true, adminUp: true },
  ]);
});

Deno.test("in memory: an address takes the routes that prefer it along", async () => {
  const [kernel, told] = watched();
  await kernel.replace(route());
  await kernel.replace(route({ dst: "10.50.0.2/32", src: "10.9.0.2" }));
  kernel.setAddress("tun0", "10.9.0.1", false);
  assertEquals(kernel.routes().map(({ dst }) => dst), ["10.50.0.2/32"]);
  const refused = await kernel.replace(route());
  assertEquals(refused.ok || refused.error.code, "invalid");
  kernel.setAddress("tun0", "10.9.0.1", true);
  assert((await kernel.replace(route())).ok);
  assertEquals(told.map((change) => change.kind === "address" && change.present), [false, true]);
});

Deno.test("in memory: rules that others take away or add are told", async () => {
  const [kernel, told] = watched();
  const rule = { mark: 7, table: 77, priority: 9, protocol: ours };
  await kernel.addRule(rule);
  kernel.setRule(rule, false);
  assertEquals(kernel.rules(), []);
  kernel.setRule(rule, true);
  assertEquals(kernel.rules(), [rule]);
  const change = { kind: "rule", ...rule, actor: somebody };
  assertEquals<unknown>(told, [{ ...change, present: false }, { ...change, present: true }]);
});

Deno.test("in memory: notifications come late, twice, in another order or never, as a world wants", () => {
  const waiting: (() => void)[] = [];
  const [kernel, told] = watched({ notify: (_, tell) => waiting.push(tell) });
  kernel.put(installed());
  kernel.put(installed({ dst: "10.50.0.2/32" }));
  kernel.put(installed({ dst: "10.50.0.3/32" }));
  kernel.overrun();
  assertEquals([told.length, waiting.length], [0, 4]);
  for (const index of [2, 0, 0, 3]) waiting[index]();
  assertEquals(
    told.map((change) => change.kind === "route_added" ? change.route.dst : change.kind),
    [
      "10.50.0.3/32",
      "10.50.0.1/32",
      "10.50.0.1/32",
      "overrun",
    ],
  );
  assertEquals([kernel.counters.changes, kernel.counters.changeOverruns], [3, 1]);
});
