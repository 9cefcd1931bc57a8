/**
 * Runs inside the namespace: every case of the contract on the kernel, then the same random requests
 * on the kernel and its in-memory twin. Prints what did not hold as JSON.
 */

import { MemoryKernel } from "../../src/kernel/memory_kernel.ts";
import { NetlinkKernel } from "../../src/kernel/netlink_kernel.ts";
import { SeededRandom } from "../simulation/random.ts";
import { contract, listed, ours, route, world } from "../unit/kernel/contract.ts";
import type { Kernel, KernelResult } from "../../src/kernel/kernel.ts";
import type { Route } from "../../src/kernel/route.ts";

/** What the child prints. */
export interface ContractReport {
  readonly cases: { readonly name: string; readonly failure: string | null }[];
  readonly twin: { readonly requests: number; readonly differences: string[] };
}

async function clear(): Promise<void> {
  const kernel = NetlinkKernel.open();
  for (const protocol of [ours, 99]) {
    const all = await kernel.list({ protocol });
    if (!all.ok) throw new Error(all.error.text);
    for (const { via, ...rest } of all.routes) {
      if (via !== null) await kernel.delete({ ...rest, via, dev: null });
    }
  }
  kernel.close();
}

async function runContract(): Promise<ContractReport["cases"]> {
  const cases: ContractReport["cases"] = [];
  for (const { name, run } of contract) {
    await clear();
    const kernel = NetlinkKernel.open();
    const other = NetlinkKernel.open();
    try {
      await run(kernel, other);
      cases.push({ name, failure: null });
    } catch (error) {
      cases.push({ name, failure: error instanceof Error ? error.stack ?? error.message : "?" });
    } finally {
      kernel.close();
      other.close();
    }
  }
  return cases;
}

/** The same requests, drawn from few routes so that they often meet, to both; answers compared. */
async function compareTwin(requests: number): Promise<ContractReport["twin"]> {
  await clear();
  const random = new SeededRandom(1, "twin");
  const ifindex = { [world.dev]: await indexOf(world.dev), lo: 1 };
  const twin = new MemoryKernel({ resolve: (wanted) => resolveLikeWorld(wanted, ifindex) });
  const kernel = NetlinkKernel.open();
  const differences: string[] = [];
  for (let done = 0; done < requests; done += 50) {
    const batch = Array.from({ length: 50 }, () => randomRequest(random));
    const answers = (to: Kernel) => Promise.all(batch.map((each) => to[each.kind](each.route)));
    const [real, simulated] = await Promise.all([answers(kernel), answers(twin)]);
    batch.forEach((each, i) => {
      const [is, was] = [word(real[i]), word(simulated[i])];
      if (is !== was) differences.push(`${JSON.stringify(each)}: kernel ${is}, twin ${was}`);
    });
    const [here, there] = [await listed(kernel), await listed(twin)];
    if (here.join() !== there.join()) differences.push(`tables differ: ${here} | ${there}`);
  }
  kernel.close();
  return { requests, differences: differences.slice(0, 10) };
}

function word(result: KernelResult): string {
  return result.ok ? "ok" : result.error.code;
}

function resolveLikeWorld({ via, src, dev }: Route, ifindex: Record<string, number>) {
  if (dev !== null && !(dev in ifindex)) return "no_device";
  if (dev === "lo") return ifindex.lo;
  if (!world.onLink(via)) return "unreachable";
  if (src !== null && !world.sources.some((local) => local === src)) return "invalid";
  return ifindex[world.dev];
}

function randomRequest(random: SeededRandom): { kind: "replace" | "delete"; route: Route } {
  const one = <T>(...of: T[]) => of[Math.floor(random.fraction() * of.length)];
  const kind = one("replace", "replace", "delete");
  return {
    kind,
    route: route({
      dst: one("10.50.0.1/32", "10.50.0.0/24", "10.50.0.0/16", "0.0.0.0/0"),
      via: one("10.9.0.100", "10.9.0.100", "10.9.0.101", "10.77.0.1"),
      src: one("10.9.0.1", "10.9.0.1", "10.9.0.2", "10.9.0.77", null),
      dev: one(null, null, world.dev, "nosuch0", ...(kind === "delete" ? ["lo"] : [])),
      table: one(254, 254, 100),
      protocol: one(ours, ours, 99),
      metric: one(0, 0, 10, 20),
    }),
  };
}

async function indexOf(dev: string): Promise<number> {
  return Number(await Deno.readTextFile(`/sys/class/net/${dev}/ifindex`));
}

const report: ContractReport = { cases: await runContract(), twin: await compareTwin(10_000) };
console.log(JSON.stringify(report));
