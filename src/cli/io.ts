import { getColorEnabled } from "@std/fmt/colors";
import { SystemClock } from "../scheduler/system_clock.ts";

/** The outside of a command: what it prints to and knows of its terminal. */
export interface CliIo {
  /** Prints results. Throws {@linkcode OutputClosed} when nobody reads them any more. */
  out(text: string): Promise<void>;
  /** Prints everything else. */
  err(text: string): Promise<void>;
  /** Width of the terminal that results go to; `null` when they go elsewhere. */
  readonly columns: number | null;
  /** Whether results may be coloured. */
  readonly color: boolean;
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
}

/** Whoever read the results left, as `head` does; there is nobody to tell. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** The process's own streams. */
export function processIo(): CliIo {
  const clock = new SystemClock();
  const terminal = Deno.stdout.isTerminal();
  return {
    out: async (text) => {
      try {
        await writeAll(Deno.stdout, text);
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosed();
        throw error;
      }
    },
    // A message that nobody can read is no reason to fail.
    err: (text) => writeAll(Deno.stderr, text).catch(() => {}),
    columns: terminal ? terminalColumns() : null,
    color: terminal && getColorEnabled(),
    now: () => clock.wall(),
  };
}

function terminalColumns(): number | null {
  try {
    const { columns } = Deno.consoleSize();
    // A terminal that does not know its size says 0.
    return columns > 0 ? columns : null;
  } catch {
    return null;
  }
}

async function writeAll(
  writer: { write(bytes: Uint8Array): Promise<number> },
  text: string,
): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await writer.write(bytes.subarray(at));
}
