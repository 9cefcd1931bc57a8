/**
 * The whole lines of a body, those of a chunk together, without their ends. What follows the last end
 * of line is left out: whoever wrote it was cut off.
 */
export async function* lineBatches(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<string[], void, void> {
  let rest = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    if (lines.length > 0) yield lines;
  }
}
