/** Items worked on between two pauses: some milliseconds at most. */
export const SLICE = 256;

const encoder = new TextEncoder();

/** The items of an iterable in arrays of {@linkcode SLICE}, with a pause after each. */
export async function* slices<T>(
  items: Iterable<T>,
  pause: () => Promise<void>,
): AsyncGenerator<T[], void, void> {
  let slice: T[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
    await pause();
  }
  if (slice.length > 0) yield slice;
}

/** A JSON array of any length as a response body, one element a line. */
export function jsonArrayBody(
  items: Iterable<unknown>,
  pause: () => Promise<void>,
): ReadableStream<Uint8Array> {
  async function* chunks(): AsyncGenerator<string, void, void> {
    let before = "[\n";
    for await (const slice of slices(items, pause)) {
      yield before + slice.map((item) => JSON.stringify(item)).join(",\n");
      before = ",\n";
    }
    yield before === ",\n" ? "\n]\n" : "[]\n";
  }
  return textBody(chunks());
}

/** Text that is made while it is sent. Nothing is made ahead of what the client takes. */
export function textBody(chunks: AsyncIterator<string, unknown, void>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done) controller.close();
      else controller.enqueue(encoder.encode(next.value));
    },
    async cancel() {
      await chunks.return?.();
    },
  }, { highWaterMark: 0 });
}
