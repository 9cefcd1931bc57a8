/** Comparing what a packet has with what a rule asks for, where that can be told. */
import { parseAddress } from "../../kernel/ipv4.ts";
import { covers } from "./prefixes.ts";
import type { Truth } from "./firewall_model.ts";

/** What a packet has in one respect: an address, a name, a number; `null` when that is not known. */
export type Value = string | number | null;

export function not(truth: Truth): Truth {
  return truth === null ? null : !truth;
}

export function and(truths: Iterable<Truth>): Truth {
  let result: Truth = true;
  for (const truth of truths) {
    if (truth === false) return false;
    if (truth === null) result = null;
  }
  return result;
}

export function or(truths: Iterable<Truth>): Truth {
  return not(and([...truths].map(not)));
}

/** Whether a port or another number lies in `from` to `to`, both included; addresses are numbers too. */
export function inRange(value: Value, from: string | number, to: string | number): Truth {
  const number = numberOf(value);
  const [least, most] = [numberOf(from), numberOf(to)];
  return number === null || least === null || most === null
    ? null
    : number >= least && number <= most;
}

/** Whether an address lies in a prefix, `10.0.0.0/8` or `10.0.0.1`. */
export function inPrefix(value: Value, prefix: string): Truth {
  if (typeof value !== "string") return null;
  const address = parseAddress(value);
  return address === null ? null : covers(prefix, address);
}

/** Whether an interface's name fits one that may end in a wildcard. */
export function fitsName(value: Value, name: string, wildcard: "*" | "+"): Truth {
  if (typeof value !== "string") return null;
  return name.endsWith(wildcard) ? value.startsWith(name.slice(0, -1)) : value === name;
}

/** Whether the connection's state is among those of a rule. A probe is the first or one of many. */
export function inStates(states: readonly string[]): Truth {
  const found = ["new", "established"].filter((state) => states.includes(state));
  return found.length === 2 ? true : found.length === 1 ? null : false;
}

function numberOf(value: Value): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return null;
  return /^\d+$/.test(value) ? Number(value) : parseAddress(value);
}
