/**
 * The kinds of settings: how each is written, what is allowed, what it becomes.
 *
 * Every message here completes the sentence "got …, expected …". A remark on the value at hand follows
 * {@link REMARK}. Descriptions stand before the transformation, because the JSON Schema describes what is written.
 */
import ipaddr from "ipaddr.js";
import * as v from "valibot";
import { DURATION_PATTERN, formatDuration, parseDuration } from "./duration.ts";

/** Separates, in a message, what is allowed from a remark on what was given. */
export const REMARK = "\n";

/** The range of what the control packet can carry: 32 bits of microseconds. */
export const MAX_WIRE_US = 0xffff_ffff;

/** Far beyond use; keeps sums of µs exact. */
export const MAX_DURATION_US = 24 * 3_600_000_000;

type Read<T> = (text: string) => { value: T } | { remark: string };

/** A setting that is written as text and becomes a `T`. */
function written<T>(expected: string, description: string, examples: string[], read: Read<T>) {
  return v.pipe(
    v.string(expected),
    v.metadata({ description, examples }),
    reading(expected, (given) => read(given)),
  );
}

/** The transformation that reads a value or says why it cannot. */
function reading<I, T>(expected: string, read: (given: I) => { value: T } | { remark: string }) {
  return v.rawTransform<I, T>(({ dataset, addIssue, NEVER }) => {
    const result = read(dataset.value);
    if ("value" in result) return result.value;
    addIssue({ message: result.remark === "" ? expected : `${expected}${REMARK}${result.remark}` });
    return NEVER;
  });
}

/** `300ms`, `1.5s`, `1m30s` as whole µs within the bounds; where 0 is allowed, `offMeans` says for what. */
export function duration(description: string, bounds: { offMeans?: string; maxUs: number }) {
  const { offMeans, maxUs } = bounds;
  const from = offMeans === undefined ? "above 0" : `of 0 (${offMeans})`;
  const expected = `a duration ${from} up to ${formatDuration(maxUs)}, such as 300ms or 1m30s`;
  const base: v.GenericSchema<string | 0> = offMeans === undefined
    ? v.string(expected)
    : v.union([v.string(expected), v.literal(0)], expected);
  return v.pipe(
    base,
    v.metadata({ description, examples: ["300ms", "1.5s", "1m30s"], pattern: DURATION_PATTERN }),
    reading(expected, (given: string | 0) => {
      const result = parseDuration(String(given));
      if (!result.ok) return { remark: `it ${result.reason}` };
      if (result.us === 0 && offMeans === undefined) return { remark: "0 would mean no interval" };
      return result.us > maxUs ? { remark: "it is too long" } : { value: result.us };
    }),
  );
}

/** A whole number within the bounds, both included. */
export function integer(description: string, min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(min, expected),
    v.maxValue(max, expected),
    v.description(description),
  );
}

/** `true` or `false`. */
export function flag(description: string) {
  return v.pipe(v.boolean("true or false"), v.description(description));
}

/** One of some words. */
export function oneOf<const W extends readonly string[]>(description: string, words: W) {
  return v.pipe(v.picklist(words, orList(words)), v.description(description));
}

/** `a, b or c`. */
export function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** A name of an iproute2 file or a number; which names exist is asked later, of the host. */
export function nameOrNumber(description: string, file: string, min: number, max: number) {
  const expected = `a name of ${file} or a whole number from ${min} to ${max}`;
  return v.pipe(
    v.union([v.string(), v.number()], expected),
    v.metadata({ description }),
    reading<string | number, string | number>(expected, (given) => {
      if (given === "") return { remark: "" };
      if (typeof given === "string" && !/^\d+$/.test(given)) return { value: given };
      const number = Number(given);
      const inRange = Number.isInteger(number) && number >= min && number <= max;
      return inRange ? { value: number } : { remark: "" };
    }),
  );
}

/** Any IPv4 address in four decimal parts. */
export function ipv4(description: string, example: string) {
  const expected = `an IPv4 address such as ${example}`;
  return v.pipe(
    v.string(expected),
    v.ipv4(expected),
    v.metadata({ description, examples: [example] }),
  );
}

/** An IPv4 address that one host can have. */
export function hostAddress(description: string, example: string) {
  const expected = `an IPv4 address such as ${example}`;
  return v.pipe(
    v.string(expected),
    v.ipv4(expected),
    v.metadata({ description, examples: [example] }),
    reading(expected, (text: string) => {
      const remark = notAHost(text);
      return remark === null ? { value: text } : { remark };
    }),
  );
}

/** Why an address cannot be a peer, a next hop or our own end of a link; `null` when it can. */
function notAHost(address: string): string | null {
  switch (ipaddr.IPv4.parse(address).range()) {
    case "unspecified":
      return "it is in 0.0.0.0/8, no host's address";
    case "loopback":
      return "it is a loopback address, which leaves no interface";
    case "multicast":
      return "it is a multicast address";
    case "broadcast":
      return "it is the broadcast address";
    default:
      return null;
  }
}

/** An IPv4 prefix with no host bits set; an address alone is a /32, as for `ip route`. */
export function prefix(description: string) {
  const expected = "an IPv4 prefix such as 10.1.0.0/16 or 10.1.0.1/32";
  return written(expected, description, ["10.1.0.1/32", "10.1.0.0/16"], readPrefix);
}

function readPrefix(text: string): { value: string } | { remark: string } {
  const [, address = "", length = "32"] = /^([\d.]+)(?:\/(\d|[12]\d|3[0-2]))?$/.exec(text) ?? [];
  if (!ipaddr.IPv4.isValidFourPartDecimal(address)) return { remark: "" };
  const bits = Number(length);
  const network = ipaddr.IPv4.networkAddressFromCIDR(`${address}/${bits}`).toString();
  if (network !== address) {
    return { remark: `it has bits set behind its length; did you mean ${network}/${bits}?` };
  }
  const remark = notRoutable(network, bits);
  if (remark !== null) return { remark };
  return { value: text.includes("/") ? text : `${text}/32` }; // mostly the text as it came: no second one to keep
}

/** Why no unicast route can lead to a prefix; `null` when one can. */
function notRoutable(network: string, bits: number): string | null {
  const range = ipaddr.IPv4.parse(network).range();
  if (range === "multicast" && bits >= 4) return "it is multicast";
  if (range === "loopback" && bits >= 8) return "it is loopback";
  if (range === "unspecified" && bits >= 8) return "it is in 0.0.0.0/8";
  if (range === "broadcast") return "it is the broadcast address";
  return null;
}

/** A name that the kernel accepts for a network interface (`dev_valid_name`). */
export function interfaceName(description: string) {
  const expected = "an interface name: 1 to 15 bytes without white space, slash or colon";
  return written(expected, description, ["tun0"], (text) => {
    const bytes = new TextEncoder().encode(text).length;
    if (bytes < 1 || bytes > 15) return { remark: `it has ${bytes} bytes` };
    const allowed = /^[^\s/:\0]+$/.test(text) && text !== "." && text !== "..";
    return allowed ? { value: text } : { remark: "" };
  });
}

/** `ADDRESS:PORT`; IPv6 in brackets. */
export function listenAddress(description: string) {
  const expected = "ADDRESS:PORT such as 127.0.0.1:9144 or [::1]:9144";
  return written(expected, description, ["127.0.0.1:9144"], (text) => {
    const [, v6, name, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
    const port = Number(digits);
    const hostname = v6 ?? name ?? "";
    const valid = v6 !== undefined
      ? ipaddr.IPv6.isValid(v6)
      : hostname === "localhost" || ipaddr.IPv4.isValidFourPartDecimal(hostname);
    if (!valid) return { remark: "" };
    return port <= 65535 ? { value: { hostname, port } } : { remark: "a port is at most 65535" };
  });
}

/** A path that fits a Unix socket's address. */
export function socketPath(description: string) {
  const expected = "the path of a Unix socket, 1 to 107 bytes";
  return written(expected, description, ["/run/livenessd/livenessd.sock"], (text) => {
    const bytes = new TextEncoder().encode(text).length;
    if (bytes < 1 || bytes > 107) return { remark: `it has ${bytes} bytes` };
    return /\0|\/$/.test(text) ? { remark: "" } : { value: text };
  });
}

/** An absolute path, or `off`. */
export function stateFile(description: string) {
  const expected = "off or the absolute path of a file, such as /var/lib/livenessd/state.json";
  return written(expected, description, ["/var/lib/livenessd/state.json", "off"], (text) => {
    const valid = text === "off" || (/^\/[^\0]*[^\0/]$/.test(text) && text.length < 4096);
    return valid ? { value: text } : { remark: "" };
  });
}

/** Text that is not empty. */
export function word(description: string, expected: string) {
  return v.pipe(v.string(expected), v.nonEmpty(expected), v.description(description));
}

/** `MAJOR.MINOR.PATCH[-channel]`, each number 0..255; `~` and `+` start metadata that is not sent. */
export function clientVersion(description: string) {
  const expected = "MAJOR.MINOR.PATCH[-CHANNEL], each number 0 to 255, such as 0.34.0 or 1.2.0-rc";
  return written(expected, description, ["0.34.0", "1.2.0-rc"], (text) => {
    const numbers = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[-~+][\w.~+-]*)?$/.exec(text);
    if (numbers === null) return { remark: "" };
    return numbers.slice(1).every((part) => Number(part) <= 255) ? { value: text } : { remark: "" };
  });
}
