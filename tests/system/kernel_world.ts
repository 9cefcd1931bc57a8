/** The world of tests/unit/kernel/contract.ts in a network namespace of the real kernel. */

import { world } from "../unit/kernel/contract.ts";
import { NetworkNamespace } from "./netns.ts";

/** A namespace with the contract's interface and addresses, and nothing else. */
export async function createWorld(label: string): Promise<NetworkNamespace> {
  const namespace = await NetworkNamespace.create(label);
  try {
    await namespace.connect(world.dev, namespace, "lvd1");
    for (const source of world.sources) {
      await namespace.ip(`addr add ${source}/24 dev ${world.dev}`);
    }
    return namespace;
  } catch (error) {
    await namespace[Symbol.asyncDispose]();
    throw error;
  }
}

/** Runs a Deno program inside and answers what it printed as JSON. Throws when it fails. */
export async function report(
  namespace: NetworkNamespace,
  program: URL,
  args: readonly string[] = [],
): Promise<unknown> {
  const printed = await namespace.exec([
    Deno.execPath(),
    "run",
    "-A",
    "--no-prompt",
    "--v8-flags=--expose-gc",
    program.pathname,
    ...args,
  ]);
  return JSON.parse(printed);
}
