/** Writes the requests of a slice into one buffer, each by its interface's index of this moment. */

import {
  errnoText,
  interfaceIndex,
  NetlinkError,
  REQUEST_SIZE,
  type RequestWriter,
} from "../../ffi/netlink.ts";
import { errno, invalidRequest, kernelError } from "./errors.ts";
import type { KernelError, MarkRule } from "./kernel.ts";
import { routeNumbers } from "./request.ts";
import type { Route } from "./route.ts";

/** A request that changes something. */
export type Change =
  | { readonly kind: "replace" | "delete"; readonly route: Route }
  | { readonly kind: "addRule" | "deleteRule"; readonly rule: MarkRule };

export class ChangeWriter {
  /** What was written since {@linkcode begin}: its first {@linkcode size} bytes. */
  readonly messages: Uint8Array<ArrayBuffer>;
  size = 0;
  readonly #writer: RequestWriter;
  /** Interface indexes looked up during this slice: names move between turns, not within one. */
  readonly #indexes = new Map<string, number>();

  /** @param capacity requests that a slice has at most */
  constructor(writer: RequestWriter, capacity: number) {
    this.#writer = writer;
    this.messages = new Uint8Array(capacity * REQUEST_SIZE);
  }

  /** Begins a new slice. */
  begin(): void {
    this.size = 0;
    this.#indexes.clear();
  }

  /** Writes one request more; answers why it cannot be written, or `null`. */
  write(change: Change, sequence: number): KernelError | null {
    try {
      const written = this.#write(change, sequence);
      if (typeof written !== "number") return written;
      this.size += written;
      return null;
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      return invalidRequest(error.message);
    }
  }

  #write(change: Change, sequence: number): number | KernelError {
    switch (change.kind) {
      case "replace":
      case "delete":
        return this.#writeRoute(change.kind, change.route, sequence);
      case "addRule":
        return this.#writer.addRule(change.rule, sequence, this.messages, this.size);
      case "deleteRule":
        return this.#writer.deleteRule(change.rule, sequence, this.messages, this.size);
    }
  }

  #writeRoute(kind: "replace" | "delete", route: Route, sequence: number): number | KernelError {
    const ifindex = route.dev === null ? 0 : this.#indexOf(route.dev);
    if (ifindex === 0 && route.dev !== null && kind === "replace") {
      return kernelError(errno.ENODEV, errnoText(errno.ENODEV), `no interface "${route.dev}"`);
    }
    // A delete goes by the rest when the interface is gone or renamed: nothing is left behind.
    const numbers = routeNumbers(route, ifindex);
    if ("code" in numbers) return numbers;
    return kind === "replace"
      ? this.#writer.replaceRoute(numbers, sequence, this.messages, this.size)
      : this.#writer.deleteRoute(numbers, sequence, this.messages, this.size);
  }

  #indexOf(dev: string): number {
    let index = this.#indexes.get(dev);
    if (index === undefined) {
      index = interfaceIndex(dev);
      this.#indexes.set(dev, index);
    }
    return index;
  }
}
