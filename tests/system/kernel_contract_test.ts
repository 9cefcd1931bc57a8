import { assert, assertEquals } from "@std/assert";
import type { ContractReport } from "./kernel_contract_child.ts";
import { createWorld, report } from "./kernel_world.ts";
import { contract } from "../unit/kernel/contract.ts";

Deno.test("the kernel of this machine keeps the contract, and its in-memory twin is one", async (t) => {
  await using namespace = await createWorld("contract");
  const child = new URL("./kernel_contract_child.ts", import.meta.url);
  const { cases, twin } = await report(namespace, child) as ContractReport;
  assertEquals(cases.map(({ name }) => name), contract.map(({ name }) => name));
  for (const { name, failure } of cases) {
    await t.step(name, () => assert(failure === null, failure ?? ""));
  }
  await t.step(`${twin.requests} random requests have the same answers and effects`, () => {
    assert(twin.requests >= 10_000);
    assertEquals(twin.differences, []);
  });
});
