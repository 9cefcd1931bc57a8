import { assert, assertEquals } from "@std/assert";
import { AsyncSink, type ByteWriter } from "../../../src/observe/stderr_sink.ts";

/** A reader that takes `most` bytes at a time, when it is let. */
class Pipe implements ByteWriter {
  text = "";
  broken = false;
  calls = 0;
  #gate: Promise<void> = Promise.resolve();
  #open = () => {};
  readonly #most: number;

  constructor(most = Infinity) {
    this.#most = most;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.calls++;
    await this.#gate;
    if (this.broken) throw new Deno.errors.BrokenPipe("nobody reads");
    const part = bytes.subarray(0, this.#most);
    this.text += new TextDecoder().decode(part);
    return part.length;
  }

  block(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    this.#open = resolve;
  }

  open(): void {
    this.#open();
  }
}

function sinkTo(pipe: Pipe): AsyncSink {
  return new AsyncSink(pipe, (lines) => `lost ${lines}\n`);
}

Deno.test("lines arrive whole and in order, also through short writes", async () => {
  const pipe = new Pipe(3);
  const sink = sinkTo(pipe);
  sink.write("one\n");
  sink.write("two\n");
  await sink.flush();
  sink.write("three\n");
  await sink.flush();
  assertEquals(pipe.text, "one\ntwo\nthree\n");
});

Deno.test("lines of one turn go out in one write", async () => {
  const pipe = new Pipe();
  const sink = sinkTo(pipe);
  for (let i = 0; i < 100; i++) sink.write(`${i}\n`);
  await sink.flush();
  assertEquals(pipe.calls, 1);
  assertEquals(pipe.text.split("\n").length, 101);
});

Deno.test("a reader that stalls costs bounded memory, and is told what it missed", async () => {
  const pipe = new Pipe();
  const sink = sinkTo(pipe);
  const line = "x".repeat(1_023) + "\n";
  pipe.block();
  for (let i = 0; i < 5_000; i++) sink.write(line);
  assertEquals(sink.lost, 5_000 - 4_096);
  pipe.open();
  await sink.flush();
  assertEquals(pipe.text.split(line).length - 1, 4_096);
  assert(pipe.text.endsWith(`lost ${5_000 - 4_096}\n`));
});

Deno.test("a reader that left is no error; what it misses is counted", async () => {
  const pipe = new Pipe();
  const sink = sinkTo(pipe);
  pipe.broken = true;
  sink.write("one\n");
  sink.write("two\n");
  await sink.flush();
  sink.write("three\n");
  await sink.flush();
  assertEquals(sink.lost, 3);
  assertEquals(pipe.calls, 1);
});
