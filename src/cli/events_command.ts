import { escapeControls, escapeJsonControls } from "../observe/escape.ts";
import type { Event } from "../observe/event.ts";
import { describeEvent, levelOf } from "../observe/event_text.ts";
import type { DaemonCommand } from "./client.ts";
import { CliError, Exit } from "./exit.ts";
import { type CliIo, OutputClosed } from "./io.ts";
import { lineBatches } from "./lines.ts";
import { type Style, styleOf } from "./style.ts";

export interface EventsOptions {
  /** Go on as events happen, until interrupted or the daemon ends. */
  readonly follow: boolean;
  /** Only events with a higher number; 0 for all that are kept. */
  readonly since: number;
  /** One JSON object a line, as the API has them. */
  readonly json: boolean;
}

/** What the API says in place of events that a slow reader missed. */
interface GapRecord {
  readonly kind: "gap";
  readonly lost: number;
}

/**
 * `events [--follow] [--since SEQ] [--json]`: what happened, a line for each event.
 * @throws {CliError} status 3 when the daemon ends while it is followed
 */
export function showEvents({ follow, since, json }: EventsOptions): DaemonCommand {
  return async (client, io) => {
    const response = await client.request("GET", `/v1/events?follow=${follow}&since=${since}`);
    const words = json ? escapeJsonControls : wordsOf(styleOf(io), since);
    const shown = await print(io, response, words);
    if (follow) throw new CliError(Exit.noDaemon, "the daemon ended, and with it its events");
    if (shown === 0 && !json) await io.err(nothing(since));
  };
}

/** Prints each line of the answer as it comes; how many there were. */
async function print(
  io: CliIo,
  response: Response,
  words: (line: string) => string,
): Promise<number> {
  let shown = 0;
  if (response.body === null) return shown;
  try {
    for await (const lines of lineBatches(response.body)) {
      await io.out(lines.map((line) => words(line) + "\n").join(""));
      shown += lines.length;
    }
  } catch (error) {
    if (error instanceof OutputClosed || error instanceof CliError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(Exit.noDaemon, `the daemon ended while it told its events: ${why}`);
  }
  return shown;
}

/** Makes a line for people of each event, and a line for each gap between two. */
function wordsOf(style: Style, since: number): (line: string) => string {
  let last = since;
  return (line) => {
    const record = parse(line);
    // The gap shows in the numbers too, also where the API does not speak of it.
    if (record.kind === "gap") {
      last += record.lost;
      return gap(record.lost, style);
    }
    const lost = record.seq - last - 1;
    last = record.seq;
    const text = eventLine(record, style);
    return lost > 0 ? `${gap(lost, style)}\n${text}` : text;
  };
}

function parse(line: string): Event | GapRecord {
  try {
    return JSON.parse(line) as Event | GapRecord;
  } catch {
    throw new CliError(Exit.failed, `the daemon's answer is no event: ${line}`);
  }
}

/** An event in words, with its time and number. */
export function eventLine(event: Event, style: Style): string {
  const text = describeEvent(event.kind, event);
  const level = levelOf(event.kind, event);
  const painted = level === "warn" || level === "error"
    ? style.between(text)
    : level === "debug"
    ? style.quiet(text)
    : text;
  return `${style.quiet(`${escapeControls(event.time)} #${event.seq}`)} ${painted}`;
}

function gap(lost: number, style: Style): string {
  return style.quiet(`... ${lost} event${lost === 1 ? "" : "s"} not shown: no longer kept`);
}

function nothing(since: number): string {
  return since === 0
    ? "Nothing has happened yet.\n"
    : `No events after #${since}. A daemon that was started again counts from 1.\n`;
}
