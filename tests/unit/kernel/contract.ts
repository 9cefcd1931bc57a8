/**
 * What every {@linkcode Kernel} does, whoever implements it. The in-memory twin passes it in
 * memory_kernel_test.ts; the kernel of this machine, in a network namespace, in
 * tests/system/kernel_contract_test.ts. So the twin is proved to be one.
 *
 * The world that the cases expect: an empty routing table but for the link's own routes, one interface
 * {@linkcode world.dev} with the addresses {@linkcode world.sources}, all of 10.9.0.0/24 on-link, and
 * nothing else reachable.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Kernel, KernelChange, KernelResult, MarkRule } from "../../../src/kernel/kernel.ts";
import type { KernelRoute, Route } from "../../../src/kernel/route.ts";

/** What the kernel under test must find around it. */
export const world = {
  dev: "lvd0",
  sources: ["10.9.0.1", "10.9.0.2"],
  onLink: (address: string) => address.startsWith("10.9.0."),
} as const;

/** The protocol number that the cases use for their routes; nothing else in the world uses it. */
export const ours = 186;

/** Somebody else who changes routes of the same machine. */
export type Other = Pick<Kernel, "replace" | "delete" | "addRule" | "deleteRule">;

/** One thing that holds. `kernel` is fresh: no routes of {@linkcode ours}, no rules. */
export interface ContractCase {
  readonly name: string;
  run(kernel: Kernel, other: Other): Promise<void>;
}

/** A route of the contract's world with some parts changed. */
export function route(parts: Partial<Route> = {}): Route {
  return {
    table: 254,
    dst: "10.50.0.1/32",
    via: "10.9.0.100",
    src: "10.9.0.1",
    dev: null,
    protocol: ours,
    ...parts,
  };
}

/** The kernel's routes of our protocol as sorted text, without the interface's index. */
export async function listed(kernel: Kernel, filter = {}): Promise<string[]> {
  const result = await kernel.list({ protocol: ours, ...filter });
  assert(result.ok, result.ok ? "" : result.error.text);
  return Array.from(result.routes, text).sort();
}

/** One line of {@linkcode listed}. */
export function text(route: Route | KernelRoute): string {
  const { table, dst, via, src, protocol, metric } = route;
  return `${dst} via ${via} src ${src} table ${table} proto ${protocol} metric ${metric ?? 0}`;
}

async function succeeds(result: Promise<KernelResult>): Promise<void> {
  assertEquals(await result, { ok: true });
}

async function refuses(code: string, result: Promise<KernelResult>): Promise<void> {
  const answer = await result;
  assert(!answer.ok, `expected ${code}, got success`);
  assertEquals(answer.error.code, code, answer.error.text);
  assert(answer.error.text !== "", "an error has a text");
}

const rule: MarkRule = { mark: 44880, table: 44880, priority: 90, protocol: ours };

/** What a kernel tells from now on: `next` answers what is told up to the next change of `dst`. */
class Told implements Disposable {
  readonly #changes: KernelChange[] = [];
  readonly #subscription: Disposable;
  #wake = () => {};

  constructor(kernel: Kernel) {
    this.#subscription = kernel.subscribe((change) => {
      this.#changes.push(change);
      this.#wake();
    });
  }

  async until(last: string): Promise<string[]> {
    for (;;) {
      const lines = this.#changes.map(changeText);
      if (lines.includes(last)) return lines;
      await new Promise<void>((wake) => this.#wake = wake);
    }
  }

  get count(): number {
    return this.#changes.length;
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}

/** A change of a route in a few words. */
function changeText(change: KernelChange): string {
  if (change.kind === "rule") return `rule ${change.mark} ${change.present}`;
  if (change.kind !== "route_added" && change.kind !== "route_removed") return change.kind;
  const { kind, route: { dst, via, src, protocol, metric, table }, replaced } = change;
  assert(change.actor.port > 0);
  return `${kind} ${dst} ${via} ${src} ${protocol} ${metric} ${table}${
    replaced ? " replaced" : ""
  }`;
}

/** Everything that holds. */
export const contract: readonly ContractCase[] = [
  {
    name: "a replaced route is listed as it was asked for",
    async run(kernel) {
      await succeeds(kernel.replace(route()));
      assertEquals(await listed(kernel), [text(route())]);
    },
  },
  {
    name: "a route without a source or with an interface is listed with what it has",
    async run(kernel) {
      await succeeds(kernel.replace(route({ src: null })));
      await succeeds(kernel.replace(route({ dst: "10.50.0.2/32", dev: world.dev })));
      const result = await kernel.list({ protocol: ours });
      assert(result.ok);
      const routes = [...result.routes];
      assertEquals(routes.length, 2);
      assertEquals(routes.find(({ dst }) => dst === "10.50.0.1/32")?.src, null);
      assert(routes.every(({ ifindex }) => ifindex === routes[0].ifindex));
      assert(routes[0].ifindex > 0);
    },
  },
  {
    name: "replacing the same route again is success and changes nothing",
    async run(kernel) {
      await succeeds(kernel.replace(route()));
      await succeeds(kernel.replace(route()));
      assertEquals(await listed(kernel), [text(route())]);
    },
  },
  {
    name: "another next hop, source or protocol replaces the route of the same prefix",
    async run(kernel) {
      await succeeds(kernel.replace(route({ protocol: 99 })));
      assertEquals(await listed(kernel), []);
      for (
        const next of [route({ via: "10.9.0.101" }), route({ src: "10.9.0.2" }), route()]
      ) {
        await succeeds(kernel.replace(next));
        assertEquals(await listed(kernel), [text(next)]);
      }
      assertEquals(await listed(kernel, { protocol: 99 }), []);
    },
  },
  {
    name: "tables, prefix lengths and metrics keep routes apart",
    async run(kernel) {
      const routes = [
        route({ dst: "0.0.0.0/0" }),
        route({ dst: "10.50.0.0/16" }),
        route({ dst: "10.50.0.0/24" }),
        route({ dst: "10.50.0.0/32" }),
        route({ dst: "10.50.0.0/32", metric: 10 }),
        route({ dst: "10.50.0.0/32", metric: 4294967295 }),
        route({ dst: "10.50.0.0/32", table: 100 }),
        route({ dst: "10.50.0.0/32", table: 4294967295 }),
      ];
      for (const each of routes) await succeeds(kernel.replace(each));
      assertEquals(await listed(kernel), routes.map(text).sort());
      assertEquals(await listed(kernel, { table: 100 }), [text(routes[6])]);
      assertEquals(await listed(kernel, { table: 4294967295 }), [text(routes[7])]);
      assertEquals(await listed(kernel, { table: 77 }), []);
      for (const each of routes) await succeeds(kernel.delete(each));
      assertEquals(await listed(kernel), []);
    },
  },
  {
    name: "a list without a protocol has everybody's routes",
    async run(kernel) {
      await succeeds(kernel.replace(route({ table: 100, dst: "10.50.0.2/32", protocol: 99 })));
      await succeeds(kernel.replace(route({ table: 100 })));
      const all = await kernel.list({ table: 100 });
      assert(all.ok);
      assertEquals(Array.from(all.routes, ({ protocol }) => protocol).sort(), [ours, 99]);
      const everywhere = await kernel.list({});
      assert(everywhere.ok);
      assert(everywhere.routes.length >= 2);
      await succeeds(kernel.delete(route({ table: 100, dst: "10.50.0.2/32", protocol: 99 })));
    },
  },
  {
    name: "a deleted route is gone, and a second delete answers not_found",
    async run(kernel) {
      await succeeds(kernel.replace(route()));
      await succeeds(kernel.delete(route()));
      assertEquals(await listed(kernel), []);
      await refuses("not_found", kernel.delete(route()));
    },
  },
  {
    name: "a delete of what is not there counts as no failure, one that cannot be does",
    async run(kernel) {
      await refuses("not_found", kernel.delete(route()));
      await refuses("not_found", kernel.deleteRule(rule));
      assertEquals(kernel.counters.failures, 0);
      await refuses("invalid", kernel.delete(route({ dst: "" })));
      assertEquals([kernel.counters.requests, kernel.counters.failures], [3, 1]);
    },
  },
  {
    name: "a delete takes exactly the route that it names",
    async run(kernel) {
      await succeeds(kernel.replace(route({ metric: 5 })));
      await refuses("not_found", kernel.delete(route({ metric: 5, via: "10.9.0.101" })));
      await refuses("not_found", kernel.delete(route({ metric: 5, src: "10.9.0.2" })));
      await refuses("not_found", kernel.delete(route({ metric: 5, protocol: 99 })));
      await refuses("not_found", kernel.delete(route({ metric: 6 })));
      await refuses("not_found", kernel.delete(route({ metric: 5, table: 100 })));
      await refuses("not_found", kernel.delete(route({ metric: 5, dst: "10.50.0.0/24" })));
      await refuses("not_found", kernel.delete(route({ metric: 5, dev: "lo" })));
      assertEquals(await listed(kernel), [text(route({ metric: 5 }))]);
      await succeeds(kernel.delete(route({ metric: 5, dev: world.dev })));
      assertEquals(await listed(kernel), []);
    },
  },
  {
    name: "a delete without a metric takes the route of the lowest metric",
    async run(kernel) {
      await succeeds(kernel.replace(route({ metric: 20 })));
      await succeeds(kernel.replace(route({ metric: 10 })));
      await succeeds(kernel.delete(route()));
      assertEquals(await listed(kernel), [text(route({ metric: 20 }))]);
    },
  },
  {
    name: "a delete that names an interface which is not there goes by the rest of the route",
    async run(kernel) {
      await succeeds(kernel.replace(route()));
      await succeeds(kernel.delete(route({ dev: "nosuch0" })));
      await refuses("not_found", kernel.delete(route({ dev: "nosuch0" })));
    },
  },
  {
    name: "a next hop out of reach is refused as unreachable and leaves what was there",
    async run(kernel) {
      await succeeds(kernel.replace(route()));
      const before = kernel.counters.failures;
      await refuses("unreachable", kernel.replace(route({ via: "10.77.0.1" })));
      await refuses("unreachable", kernel.replace(route({ via: "10.77.0.1", dev: world.dev })));
      assertEquals(kernel.counters.failures, before + 2);
      assertEquals(await listed(kernel), [text(route())]);
    },
  },
  {
    name: "an interface that does not exist and a source that is not local are refused",
    async run(kernel) {
      await refuses("no_device", kernel.replace(route({ dev: "nosuch0" })));
      await refuses("invalid", kernel.replace(route({ src: "10.9.0.77" })));
      assertEquals(await listed(kernel), []);
    },
  },
  {
    name:
      "a route that is no IPv4 route is refused by name of what is wrong, and does not stop others",
    async run(kernel) {
      const wrong: Partial<Route>[] = [
        { dst: "10.50.0.1" },
        { dst: "10.50.0.1/33" },
        { dst: "10.50.0.1/24" },
        { dst: "2001:db8::/32" },
        { via: "" },
        { via: "10.9.0.256" },
        { src: "10.9.1" },
        { table: 0 },
        { table: 4294967296 },
        { protocol: 256 },
        { metric: -1 },
      ];
      const requests = wrong.flatMap((parts) => [
        kernel.replace(route(parts)),
        kernel.delete(route(parts)),
      ]);
      await succeeds(kernel.replace(route()));
      for (const [index, result] of (await Promise.all(requests)).entries()) {
        const [name, value] = Object.entries(wrong[index >> 1])[0];
        assert(!result.ok, `${name} ${value} was accepted`);
        assertEquals([result.error.code, result.error.errno], ["invalid", 0]);
        assert(result.error.text.startsWith(name), result.error.text);
        assert(result.error.text.includes(String(value)), result.error.text);
      }
      assertEquals(await listed(kernel), [text(route())]);
    },
  },
  {
    name: "requests are carried out in the order in which they were made",
    async run(kernel) {
      const results = await Promise.all([
        kernel.replace(route()),
        kernel.delete(route()),
        kernel.delete(route()),
        kernel.replace(route({ via: "10.9.0.101" })),
        kernel.replace(route({ via: "10.9.0.102" })),
      ]);
      assertEquals(results.map(({ ok }) => ok), [true, true, false, true, true]);
      assertEquals(await listed(kernel), [text(route({ via: "10.9.0.102" }))]);
    },
  },
  {
    name: "of many requests at once each failure is its own route's",
    async run(kernel) {
      const routes = Array.from({ length: 2000 }, (_, i) =>
        route({
          dst: `10.60.${i >> 8}.${i & 255}/32`,
          via: i % 10 === 3 ? "10.77.0.1" : "10.9.0.100",
        }));
      const results = await Promise.all(routes.map((each) => kernel.replace(each)));
      assertEquals(results.map(({ ok }) => ok), routes.map((_, i) => i % 10 !== 3));
      assertEquals((await listed(kernel)).length, 1800);
      const gone = await Promise.all(routes.map((each) => kernel.delete(each)));
      assertEquals(gone.map(({ ok }) => ok), routes.map((_, i) => i % 10 !== 3));
      assertEquals(await listed(kernel), []);
    },
  },
  {
    name: "a rule that is there is success, one that is not is not_found",
    async run(kernel) {
      await refuses("not_found", kernel.deleteRule(rule));
      await succeeds(kernel.addRule(rule));
      await succeeds(kernel.addRule(rule));
      await refuses("not_found", kernel.deleteRule({ ...rule, mark: 1 }));
      await succeeds(kernel.deleteRule(rule));
      await refuses("not_found", kernel.deleteRule(rule));
    },
  },
  {
    name: "what another changes is told, what the kernel object itself asked for is not",
    async run(kernel, other) {
      using told = new Told(kernel);
      await succeeds(kernel.replace(route()));
      await succeeds(kernel.replace(route({ via: "10.9.0.101" })));
      await succeeds(other.replace(route({ protocol: 99 })));
      await succeeds(kernel.replace(route({ metric: 7 })));
      await succeeds(other.delete(route({ metric: 7 })));
      await succeeds(kernel.delete(route({ protocol: 99 })));
      await succeeds(other.replace(route({ table: 100, src: null })));
      await succeeds(other.delete(route({ table: 100, src: null })));
      const last = "route_removed 10.50.0.1/32 10.9.0.100 null 186 0 100";
      assertEquals(await told.until(last), [
        "route_added 10.50.0.1/32 10.9.0.100 10.9.0.1 99 0 254 replaced",
        "route_removed 10.50.0.1/32 10.9.0.100 10.9.0.1 186 7 254",
        "route_added 10.50.0.1/32 10.9.0.100 null 186 0 100",
        last,
      ]);
      assertEquals(kernel.counters.changes, 4);
    },
  },
  {
    name: "a replacement by the same route and a refused request are no change",
    async run(kernel, other) {
      using told = new Told(kernel);
      await succeeds(kernel.replace(route()));
      await succeeds(other.replace(route()));
      await refuses("not_found", other.delete(route({ via: "10.9.0.101" })));
      await refuses("unreachable", other.replace(route({ via: "10.77.0.1" })));
      await succeeds(other.delete(route()));
      const last = "route_removed 10.50.0.1/32 10.9.0.100 10.9.0.1 186 0 254";
      assertEquals(await told.until(last), [last]);
    },
  },
  {
    name: "another's change of a rule is told, and our own is not",
    async run(kernel, other) {
      using told = new Told(kernel);
      await succeeds(kernel.addRule(rule));
      await succeeds(other.deleteRule(rule));
      await succeeds(other.addRule(rule));
      await succeeds(kernel.deleteRule(rule));
      assertEquals(await told.until("rule 44880 true"), ["rule 44880 false", "rule 44880 true"]);
    },
  },
  {
    name: "every subscriber is told, and none that has left",
    async run(kernel, other) {
      using first = new Told(kernel);
      const gone = new Told(kernel);
      gone[Symbol.dispose]();
      gone[Symbol.dispose]();
      {
        using second = new Told(kernel);
        await succeeds(other.replace(route()));
        const line = "route_added 10.50.0.1/32 10.9.0.100 10.9.0.1 186 0 254";
        assertEquals(await Promise.all([first.until(line), second.until(line)]), [[line], [line]]);
      }
      await succeeds(other.delete(route()));
      await first.until("route_removed 10.50.0.1/32 10.9.0.100 10.9.0.1 186 0 254");
      assertEquals([first.count, gone.count], [2, 0]);
      first[Symbol.dispose]();
      // The last one out ends the monitor; it can begin anew.
      using third = new Told(kernel);
      await succeeds(other.replace(route()));
      await third.until("route_added 10.50.0.1/32 10.9.0.100 10.9.0.1 186 0 254");
      assertEquals(first.count, 2);
      await succeeds(other.delete(route()));
    },
  },
  {
    name: "closing answers the requests that wait and those that come later",
    async run(kernel) {
      const waiting = [kernel.replace(route()), kernel.delete(route()), kernel.list({})];
      kernel.close();
      for (const result of [...await Promise.all(waiting), await kernel.replace(route())]) {
        assert(!result.ok);
        assertEquals(result.error.code, "closed");
      }
      kernel.close();
      assertThrows(() => kernel.subscribe(() => {}), Error, "closed");
    },
  },
];
