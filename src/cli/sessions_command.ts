import type { SessionSnapshot } from "../manager/snapshot.ts";
import { escapeControls } from "../observe/escape.ts";
import type { Event } from "../observe/event.ts";
import type { ApiClient, DaemonCommand } from "./client.ts";
import type { CliIo } from "./io.ts";
import { eventLine } from "./events_command.ts";
import { CliError, Exit } from "./exit.ts";
import { printJson } from "./json_output.ts";
import { type Style, styleOf } from "./style.ts";
import { type Column, renderTable } from "./table.ts";
import { readWordPairs } from "./word_pairs.ts";
import { age, microseconds, whySession } from "./wording.ts";

/** A session as the API tells of it; with its past when it was asked for by its peer. */
type ShownSession = SessionSnapshot & { readonly history?: readonly Event[] };

/**
 * `sessions [PEER]`: each session, and why it is down; those of one peer with the last that happened to them.
 * @throws {CliError} when there is no session with that peer
 */
export async function listSessions(
  client: ApiClient,
  io: CliIo,
  json: boolean,
  peer?: string,
): Promise<void> {
  const query = peer === undefined ? "" : `?peer=${encodeURIComponent(peer)}`;
  const response = await client.request("GET", `/v1/sessions${query}`);
  if (json) return await printJson(io, response);
  const sessions = await response.json() as ShownSession[];
  if (sessions.length === 0 && peer !== undefined) {
    throw new CliError(Exit.failed, `there is no session with peer ${escapeControls(peer)}`);
  }
  if (sessions.length === 0) return await io.err("There are no sessions.\n");
  sessions.sort(byAddress);
  const style = styleOf(io);
  await io.out(renderTable(columns(style, io.now()), sessions, io.columns));
  for (const { history = [] } of sessions) {
    if (history.length === 0) continue;
    await io.out("\n" + history.map((event) => eventLine(event, style) + "\n").join(""));
  }
}

/**
 * `session down|up PEER [dev IF] [src IP]`.
 * @throws {CliError} when the words are wrong
 */
export function setSession(
  state: "down" | "up",
  peer: string,
  words: readonly string[],
): DaemonCommand {
  const key = readWordPairs(words, { pairs: ["dev", "src"] });
  return async (client, io) => {
    const response = await client.request("POST", "/v1/sessions/admin", { ...key, peer, state });
    const done = await response.json() as { dev: string; src: string; peer: string };
    const text = `session ${done.peer} dev ${done.dev} src ${done.src}: administratively ${state}`;
    await io.err(escapeControls(text) + "\n");
  };
}

function columns(style: Style, now: number): Column<SessionSnapshot>[] {
  return [
    { title: "PEER", cell: (s) => s.peer },
    { title: "DEV", cell: (s) => s.dev },
    { title: "SRC", cell: (s) => s.src, dropOrder: 6 },
    { title: "STATE", cell: (s) => s.state, paint: paintState(style) },
    { title: "SINCE", cell: (s) => age(s.since, now), dropOrder: 7 },
    { title: "FLAPS", cell: (s) => String(s.flaps), dropOrder: 5 },
    { title: "DETECT", cell: (s) => microseconds(s.detect_time_us), dropOrder: 4 },
    { title: "ROUTES", cell: (s) => String(s.routes), dropOrder: 3 },
    { title: "MODE", cell: (s) => s.peer_mode === "unknown" ? "-" : s.peer_mode, dropOrder: 2 },
    { title: "VERSION", cell: toldVersion, dropOrder: 1 },
    { title: "WHY", cell: (s) => whySession(s, now), shrinkTo: 40 },
  ];
}

/** All zeros on the wire mean that the peer did not tell. */
function toldVersion({ peer_client_version: version }: SessionSnapshot): string {
  return version === "0.0.0" ? "-" : version;
}

/** Colours a session's state. */
function paintState(
  style: Style,
): (text: string, row: { readonly state: SessionSnapshot["state"] }) => string {
  const paints = {
    up: style.good,
    init: style.between,
    down: style.bad,
    admin_down: style.between,
  };
  return (text, { state }) => paints[state](text);
}

function byAddress(a: SessionSnapshot, b: SessionSnapshot): number {
  return compareAddresses(a.peer, b.peer) || (a.dev < b.dev ? -1 : a.dev > b.dev ? 1 : 0) ||
    compareAddresses(a.src, b.src);
}

/** Orders IPv4 addresses and prefixes by their numbers, 10.0.0.2 before 10.0.0.10. */
export function compareAddresses(a: string, b: string): number {
  const left = a.split(/[./]/);
  const right = b.split(/[./]/);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = Number(left[i] ?? 0) - Number(right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
