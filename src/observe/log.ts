import { bold, dim, red, yellow } from "@std/fmt/colors";
import type { LogFormat, LogLevel } from "../config/config.ts";
import { escapeControls, escapeJsonControls } from "./escape.ts";
import { type EventRecord, rfc3339 } from "./event.ts";
import { describeEvent, levelOf } from "./event_text.ts";
import { Suppressor } from "./suppressor.ts";

/** Where lines go. Must neither throw nor block. */
export interface LogSink {
  write(line: string): void;
}

/** What a line may carry besides its message. */
export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Colours the text form. */
  readonly color: boolean;
  /** Wall clock, milliseconds since the epoch. */
  readonly wall: () => number;
  readonly sink: LogSink;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A line that is no event. */
interface Message {
  readonly level: LogLevel;
  readonly at: number;
  readonly message: string;
  readonly fields: LogFields;
}

type Line = EventRecord | Message;

/** Structured log: one line for each record, JSON for programs or text for people. */
export class Logger {
  readonly #options: LoggerOptions;
  readonly #suppressor: Suppressor<Line>;
  #suppressed = 0;

  constructor(options: LoggerOptions) {
    this.#options = options;
    this.#suppressor = new Suppressor((line, count) => this.#write(line, count));
  }

  /** Identical lines held back since the start. */
  get suppressed(): number {
    return this.#suppressed;
  }

  /** Logs an event: the JSON line is the event with its level. */
  event(record: EventRecord): void {
    if (this.#wants(levelOf(record.kind, record.details))) this.#judge(eventKey(record), record);
  }

  debug(message: string, fields?: LogFields): void {
    this.#message("debug", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#message("info", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#message("warn", message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#message("error", message, fields);
  }

  /** Says what is still held back; call before the sink is flushed for the last time. */
  finish(): void {
    this.#suppressor.finish();
  }

  #wants(level: LogLevel): boolean {
    return RANK[level] >= RANK[this.#options.level];
  }

  #message(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (!this.#wants(level)) return;
    const key = `${level}|${message}|${JSON.stringify(fields)}`;
    this.#judge(key, { level, at: this.#options.wall(), message, fields });
  }

  // Nothing is made of a line before it is certain to be written.
  #judge(key: string, line: Line): void {
    const suppressed = this.#suppressor.judge(key, line, line.at);
    if (suppressed === null) this.#suppressed++;
    else this.#write(line, suppressed);
  }

  #write(line: Line, suppressed: number): void {
    const text = this.#options.format === "json"
      ? jsonLine(line, suppressed)
      : textLine(line, suppressed, this.#options.color);
    this.#options.sink.write(text + "\n");
  }
}

/** The form to use when none is configured: text for a person at a terminal, else JSON. */
export function defaultFormat(terminal: boolean): LogFormat {
  return terminal ? "text" : "json";
}

function jsonLine(line: Line, suppressed: number): string {
  const [time, level] = [rfc3339(line.at), lineLevel(line)];
  const held = suppressed > 0 ? { suppressed } : undefined;
  const record = "kind" in line
    ? { time, level, seq: line.seq, kind: line.kind, ...line.details, ...held }
    : { time, level, message: line.message, ...line.fields, ...held };
  return escapeJsonControls(JSON.stringify(record));
}

function textLine(line: Line, suppressed: number, color: boolean): string {
  const time = rfc3339(line.at);
  const name = lineLevel(line);
  const level = name.toUpperCase().padEnd(5);
  const held = suppressed > 0 ? ` [${suppressed} like this held back]` : "";
  const text = lineText(line) + held;
  if (!color) return `${time} ${level} ${text}`;
  const paint = { debug: dim, info: bold, warn: yellow, error: red }[name];
  return `${dim(time)} ${paint(level)} ${text}`;
}

function lineLevel(line: Line): LogLevel {
  return "kind" in line ? levelOf(line.kind, line.details) : line.level;
}

function lineText(line: Line): string {
  if ("kind" in line) return describeEvent(line.kind, line.details);
  const pairs = Object.entries(line.fields).map(([key, value]) => ` ${key}=${value}`);
  return escapeControls(line.message + pairs.join(""));
}

// Two events are identical when all but their number, time and duration is the same.
function eventKey({ kind, details }: EventRecord): string {
  const { session: s, route: r, from, to, reason, message } = details;
  const session = s === undefined ? "" : `${s.dev} ${s.src} ${s.peer}`;
  const route = r === undefined ? "" : `${r.table} ${r.dst} ${r.via} ${r.dev} ${r.src}`;
  // Thousands of keys are remembered: nothing is written for what was not said.
  return `${kind}|${session}|${route}|${from ?? ""}|${to ?? ""}|${reason ?? ""}|${message ?? ""}`;
}
