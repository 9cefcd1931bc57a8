import type { LogSink } from "./log.ts";

/** What the sink writes to; `Deno.stderr` is one. */
export interface ByteWriter {
  write(bytes: Uint8Array): Promise<number>;
}

/** Bytes that may wait for a slow reader. */
const BACKLOG = 4 * 1024 * 1024;
/** Bytes handed over in one write. */
const BATCH = 64 * 1024;

/**
 * Writes lines without ever making the loop wait: they queue here and go out from another thread. When
 * the reader is too slow, new lines are lost and counted, and the log says so as soon as it can; when
 * the reader is gone, all lines are lost and counted.
 */
export class AsyncSink implements LogSink {
  readonly #writer: ByteWriter;
  readonly #describeLoss: (lines: number) => string;
  #queue: string[] = [];
  #queued = 0;
  #unreported = 0;
  #lost = 0;
  #broken = false;
  #pump: Promise<void> | null = null;

  /** `describeLoss` makes the log line (with its newline) that tells how many were lost. */
  constructor(writer: ByteWriter, describeLoss: (lines: number) => string) {
    this.#writer = writer;
    this.#describeLoss = describeLoss;
  }

  /** Lines lost since the start. */
  get lost(): number {
    return this.#lost;
  }

  write(line: string): void {
    if (this.#broken) {
      this.#lost++;
      return;
    }
    if (this.#queued + line.length > BACKLOG) {
      this.#lost++;
      this.#unreported++;
      return;
    }
    this.#queue.push(line);
    this.#queued += line.length;
    this.#pump ??= this.#run();
  }

  /** Settles when all that was written so far is out, or cannot go out any more. */
  async flush(): Promise<void> {
    while (this.#pump !== null) await this.#pump;
  }

  async #run(): Promise<void> {
    const encoder = new TextEncoder();
    // Lines of the same turn of the loop go out together.
    await Promise.resolve();
    try {
      while (this.#queue.length > 0) {
        const { text, lines } = this.#nextBatch();
        try {
          await writeAll(this.#writer, encoder.encode(text));
        } catch {
          this.#breakOff(lines);
        }
      }
    } finally {
      this.#pump = null;
    }
  }

  #nextBatch(): { text: string; lines: number } {
    let text = "";
    let lines = 0;
    while (lines < this.#queue.length && text.length < BATCH) text += this.#queue[lines++];
    this.#queue.splice(0, lines);
    this.#queued -= text.length;
    if (this.#unreported > 0 && this.#queue.length === 0) {
      text += this.#describeLoss(this.#unreported);
      this.#unreported = 0;
    }
    return { text, lines };
  }

  #breakOff(linesInFlight: number): void {
    this.#broken = true;
    this.#lost += linesInFlight + this.#queue.length;
    this.#queue = [];
    this.#queued = 0;
  }
}

async function writeAll(writer: ByteWriter, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await writer.write(bytes.subarray(at));
}
