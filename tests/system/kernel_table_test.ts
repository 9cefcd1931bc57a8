import { assert, assertEquals } from "@std/assert";
import { createWorld, report } from "./kernel_world.ts";
import type { TableReport } from "./kernel_table_child.ts";
import { ours } from "../unit/kernel/contract.ts";

/** Routes of every shape; all get our protocol number. Those of 10.2.0.0/16 are none that is listed. */
const table = [
  "route add 10.1.0.1/32 via 10.9.0.100 src 10.9.0.1",
  "route add 10.1.0.2/32 dev lvd0",
  "route add 10.1.0.3/32 nexthop via 10.9.0.100 nexthop via 10.9.0.101",
  "route add 10.1.0.4/32 via inet6 fe80::1 dev lvd0",
  "route add 10.1.0.5/32 via 10.9.0.100 metric 7 table 4294967295",
  "route add blackhole 10.2.0.1/32",
  "route add unreachable 10.2.0.2/32",
  "route add prohibit 10.2.0.3/32",
  "route add throw 10.2.0.4/32",
  "route add local 10.2.0.5/32 dev lo",
  "route add broadcast 10.2.0.6/32 dev lvd0",
  "route add 10.2.0.7/32 via 10.9.0.100 tos 0x10",
  "route add 10.2.0.8/32 via 10.9.0.100 table local",
  "-6 route add 2001:db8::1/128 dev lvd0",
];

const child = new URL("./kernel_table_child.ts", import.meta.url);

Deno.test("a list reads every shape of route for what it is, and lost answers are told as such", async (t) => {
  await using namespace = await createWorld("table");
  for (const line of table) await namespace.ip(line.replace(/\S+\/\d+/, `$& proto ${ours}`));
  await namespace.ip("nexthop add id 9 via 10.9.0.100 dev lvd0");
  await namespace.ip(`route add 10.1.0.6/32 nhid 9 proto ${ours}`);
  const seen = await report(namespace, child) as TableReport;

  await t.step("by the kernel's filter", () => {
    const { ifindex } = seen.strict[0];
    assert(ifindex > 1);
    const plain = { table: 254, via: null, src: null, ifindex, protocol: ours, metric: 0 };
    assertEquals(seen.strict, [
      { ...plain, dst: "10.1.0.1/32", via: "10.9.0.100", src: "10.9.0.1" },
      { ...plain, dst: "10.1.0.2/32" },
      { ...plain, dst: "10.1.0.3/32", ifindex: 0 },
      { ...plain, dst: "10.1.0.4/32" },
      { ...plain, dst: "10.1.0.5/32", via: "10.9.0.100", table: 4294967295, metric: 7 },
      { ...plain, dst: "10.1.0.6/32" },
    ]);
    assertEquals(seen.unreadable, 0);
  });

  await t.step("by our own where the kernel has none", () => {
    assertEquals(seen.lenient, seen.strict);
  });

  await t.step("answers that overran the socket are busy, and the next request is served", () => {
    const { answers, afterwards, counters, listed } = seen.overrun;
    const lost = answers["busy"] ?? 0;
    assert(lost > 0, "nothing was lost: the test did not overrun the socket");
    assertEquals(answers, { ok: 64 - lost, busy: lost });
    assertEquals(listed, 65, "the kernel carried out even what it could not answer");
    assert(afterwards);
    assert(counters.overruns > 0);
    assertEquals(counters.failures, lost);
  });

  await t.step("closing answers the list that runs and those that wait", () => {
    const { answers, dumps } = seen.closed;
    const finished = answers.filter((answer) => answer === "ok").length;
    assertEquals(answers.length, 50);
    assert(answers.slice(finished).every((answer) => answer === "closed"), answers.join());
    assertEquals(dumps, finished + 1, "one list was running when the kernel was closed");
  });
});
