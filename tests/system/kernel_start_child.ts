/**
 * Tries to open the kernel and prints how that went, as the command line would be told. It is left open
 * after its first list: the program ends all the same, because nothing of the kernel keeps it alive.
 */

import {
  MissingCapability,
  MissingLibrary,
  NetlinkKernel,
} from "../../src/kernel/netlink_kernel.ts";

/** What the child prints. */
export interface StartReport {
  readonly kind: "opened" | "MissingLibrary" | "MissingCapability";
  readonly message: string;
}

async function open(): Promise<StartReport> {
  try {
    const listed = await NetlinkKernel.open().list({});
    return { kind: "opened", message: listed.ok ? "" : listed.error.text };
  } catch (error) {
    if (error instanceof MissingLibrary || error instanceof MissingCapability) {
      return { kind: error.name, message: error.message };
    }
    throw error;
  }
}

console.log(JSON.stringify(await open()));
