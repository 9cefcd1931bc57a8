import { escapeJsonControls } from "../observe/escape.ts";
import type { CliIo } from "./io.ts";

/** Prints the API's JSON as it arrives; the same values, with nothing in it that acts on a terminal. */
export async function printJson(io: CliIo, response: Response): Promise<void> {
  let last = "";
  if (response.body !== null) {
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      await io.out(escapeJsonControls(chunk));
      last = chunk.at(-1) ?? last;
    }
  }
  if (last !== "\n") await io.out("\n");
}
