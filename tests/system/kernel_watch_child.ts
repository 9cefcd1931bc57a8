/**
 * Runs inside the namespace: prints each change that the kernel's monitor tells as a line of JSON, until
 * its standard input ends. Then it closes the kernel, and has to end by itself.
 *
 * Commands, a line each: `own N` replaces and deletes N routes of our own, `list` counts the routes that
 * are there, `counters`. With the argument `quiet` route changes are counted and not printed, and an
 * overrun is followed by a list, as a daemon would. With `unfiltered` the kernel tells us of our own changes
 * too. With `patient` it is ready only when it knows who is
 * there.
 */

import { NetlinkKernel } from "../../src/kernel/netlink_kernel.ts";
import { ours, route } from "../unit/kernel/contract.ts";
import { linesOf } from "./lines.ts";

const quiet = Deno.args.includes("quiet");
const kernel = NetlinkKernel.open({ keepBack: !Deno.args.includes("unfiltered") });
let routeChanges = 0;

function print(line: unknown): void {
  console.log(JSON.stringify(line));
}

async function list(kind: string): Promise<void> {
  const result = await kernel.list({ protocol: ours });
  print({ kind, routeChanges, routes: result.ok ? result.routes.length : result.error.text });
}

kernel.subscribe((change) => {
  if (!quiet) return print(change);
  if (change.kind === "overrun") list("overrun");
  else routeChanges++;
});
// Until the processes that are there have been looked through.
if (Deno.args.includes("patient")) await kernel.acquainted();
print({ kind: "ready" });

for await (const line of linesOf(Deno.stdin.readable)) {
  const [command, count] = line.split(" ");
  if (command === "own") {
    for (let i = 0; i < Number(count); i++) {
      await kernel.replace(route({ dst: `10.80.0.${i}/32` }));
      await kernel.delete(route({ dst: `10.80.0.${i}/32` }));
    }
    print({ kind: "own" });
  } else if (command === "list") {
    await list("list");
  } else if (command === "counters") {
    print({ kind: "counters", ...kernel.counters });
  }
}
kernel.close();
