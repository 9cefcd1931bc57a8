import { bold, dim, red, yellow } from "@std/fmt/colors";
import type { LogFormat, LogLevel } from "../config/config.ts";
import { escapeControls, escapeJsonControls } from "./escape.ts";
import type { Event } from "./event.ts";
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

interface Line {
  readonly level: LogLevel;
  readonly time: string;
  /** The record of the JSON form, without level and suppressed. */
  readonly record: Readonly<Record<string, unknown>>;
  /** Makes the text form; called only when it is wanted. */
  readonly text: () => string;
}

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

  /** Logs an event: the JSON line is the event's record with its level. */
  event(event: Event): void {
    const level = levelOf(event);
    if (!this.#wants(level)) return;
    const { time, ...record } = event;
    this.#judge(eventKey(event), { level, time, record, text: () => describeEvent(event) });
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
    const time = new Date(this.#options.wall()).toISOString();
    const text = () => {
      const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${value}`);
      return escapeControls(message + pairs.join(""));
    };
    const key = `${level}|${message}|${JSON.stringify(fields)}`;
    this.#judge(key, { level, time, record: { message, ...fields }, text });
  }

  #judge(key: string, line: Line): void {
    const verdict = this.#suppressor.judge(key, line, this.#options.wall());
    if (verdict.admit) this.#write(line, verdict.suppressed);
    else this.#suppressed++;
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

function jsonLine({ level, time, record }: Line, suppressed: number): string {
  const held = suppressed > 0 ? { suppressed } : {};
  return escapeJsonControls(JSON.stringify({ time, level, ...record, ...held }));
}

function textLine(line: Line, suppressed: number, color: boolean): string {
  const level = line.level.toUpperCase().padEnd(5);
  const held = suppressed > 0 ? ` [${suppressed} like this held back]` : "";
  const text = line.text() + held;
  if (!color) return `${line.time} ${level} ${text}`;
  const paint = { debug: dim, info: bold, warn: yellow, error: red }[line.level];
  return `${dim(line.time)} ${paint(level)} ${text}`;
}

// Two events are identical when all but their number, time and duration is the same.
function eventKey(event: Event): string {
  const { session: s, route: r } = event;
  const session = s === undefined ? "" : `${s.dev} ${s.src} ${s.peer}`;
  const route = r === undefined ? "" : `${r.table} ${r.dst} ${r.via} ${r.dev} ${r.src}`;
  const { kind, from, to, reason, message } = event;
  return `${kind}|${session}|${route}|${from}|${to}|${reason}|${message}`;
}
