/**
 * What a run leaves to the next one, as a text: its sessions, so that peers need not notice a restart, and
 * the routes that it wanted, so that what it left in the kernel can be told from the routes of others.
 */
import type { Route } from "../kernel/route.ts";
import type { SessionKeyParts } from "./manager_api.ts";

/** Where a run lived. Routes and sessions mean nothing elsewhere. */
export interface Place {
  /** Changes with every boot of the host. */
  readonly boot: string;
  /** Differs from one network namespace to another. */
  readonly netns: string;
}

/** A session of the former run. */
export interface FormerSession extends SessionKeyParts {
  readonly discriminator: number;
  /** How often the peer sends while Up, µs, as last known; before jitter. */
  readonly interval_us: number;
  /** The peer said that it is passive. */
  readonly passive: boolean;
}

/** A route that the former run wanted. */
export type FormerRoute = Pick<Route, "table" | "dst"> & {
  readonly via: string;
  readonly dev: string;
  readonly src: string;
};

/** What is known of the former run. */
export interface FormerRun {
  /** Route protocol number of its routes. */
  readonly protocol: number;
  /** It said farewell to its peers: none of them still counts on it. */
  readonly ended: boolean;
  readonly sessions: readonly FormerSession[];
  readonly routes: readonly FormerRoute[];
}

/** There was none, or nothing is known of it. */
export const NOTHING: FormerRun = { protocol: 0, ended: true, sessions: [], routes: [] };

/** The head of the text: what is known before sessions and routes are counted up. */
export type Head = Place & Pick<FormerRun, "protocol" | "ended">;

export type ReadResult =
  | { readonly ok: true; readonly run: FormerRun }
  /** Why the text is of no use, for people. */
  | { readonly ok: false; readonly reason: string };

/** Grows when the form changes in a way that an older reader would get wrong. */
const VERSION = 1;
/** Records in one part of the text: its making takes well under a millisecond. */
const PART = 128;

/** Writes the text in parts, taking the records one by one. */
export function* writeRun(
  { boot, netns, protocol, ended }: Head,
  sessions: Iterable<FormerSession>,
  routes: Iterable<FormerRoute>,
): Iterable<string> {
  const head = JSON.stringify({ livenessd: VERSION, boot, netns, protocol, ended });
  yield `${head.slice(0, -1)},\n"sessions":[`;
  yield* writeList(sessions);
  yield '],\n"routes":[';
  yield* writeList(routes);
  yield "]}\n";
}

function* writeList(records: Iterable<unknown>): Iterable<string> {
  let part = "";
  let count = 0;
  for (const record of records) {
    part += `${count === 0 ? "\n" : ",\n"}${JSON.stringify(record)}`;
    if (++count % PART > 0) continue;
    yield part;
    part = "";
  }
  yield part;
}

/** Reads what a former run at `here` left; a text of anything else is refused as a whole. */
export function readRun(text: string, here: Place): ReadResult {
  const refused = (reason: string) => ({ ok: false, reason } as const);
  const run = parse(text);
  if (run === undefined) return refused("it is damaged: not valid JSON");
  if (!isRecord(run) || !("livenessd" in run)) return refused("livenessd did not write it");
  if (run.livenessd !== VERSION) {
    return refused(
      `it has version ${JSON.stringify(run.livenessd)}; this livenessd knows ${VERSION}`,
    );
  }
  if (run.boot !== here.boot) return refused("it is from before this host was booted");
  if (run.netns !== here.netns) return refused("it is from another network namespace");
  const { protocol, ended, sessions, routes } = run;
  const isWhole = isUint(protocol, 1, 255) && typeof ended === "boolean" &&
    isListOf(sessions, isSession) && isListOf(routes, isRoute);
  return isWhole
    ? { ok: true, run: { protocol, ended, sessions, routes } }
    : refused("it is damaged: its parts are not what livenessd writes");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isSession(value: unknown): value is FormerSession {
  return isRecord(value) && isText(value.dev) && isAddress(value.src) && isAddress(value.peer) &&
    isUint(value.discriminator, 1, 0xffff_ffff) && isUint(value.interval_us, 1, 0xffff_ffff) &&
    typeof value.passive === "boolean";
}

function isRoute(value: unknown): value is FormerRoute {
  return isRecord(value) && isUint(value.table, 1, 0xffff_ffff) && isPrefix(value.dst) &&
    isAddress(value.via) && isText(value.dev) && isAddress(value.src);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isListOf<T>(value: unknown, isOne: (one: unknown) => one is T): value is T[] {
  return Array.isArray(value) && value.every(isOne);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isUint(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
}

function isAddress(value: unknown): value is string {
  return typeof value === "string" && /^(?:\d{1,3}\.){3}\d{1,3}$/.test(value) &&
    value.split(".").every((part) => part === String(Math.min(255, Number(part))));
}

function isPrefix(value: unknown): value is string {
  if (typeof value !== "string") return false;
  const [, address, length] = /^(.*)\/(\d\d?)$/.exec(value) ?? [];
  return isAddress(address) && Number(length) <= 32;
}
