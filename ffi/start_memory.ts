/**
 * Memory that only the start needed, given back to the system.
 *
 * Starting runs through code of the runtime that is not run again and reads its snapshot, which stay
 * mapped as pages of the executable; and it leaves gaps in the C library's heaps. Neither is ever given back
 * by itself. Pages of a file that nobody wrote to are only unmapped: what is needed of them after all
 * comes from the page cache, without a copy.
 */
import { libc } from "./libc.ts";

const MADV_DONTNEED = 4;

/** A range of addresses, `end` exclusive. */
export interface Mapping {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * Gives it back; takes about a millisecond of this thread.
 *
 * @throws {Error} when /proc cannot be read; nothing was given back then
 */
export async function giveBackStartMemory(): Promise<void> {
  const executable = await Deno.readLink("/proc/self/exe");
  const mappings = unwritten(await Deno.readTextFile("/proc/self/smaps"), executable);
  const { madvise, malloc_trim } = libc();
  malloc_trim?.(0n);
  for (const { start, end } of mappings) {
    madvise(Deno.UnsafePointer.create(start), end - start, MADV_DONTNEED);
  }
}

/**
 * The mappings of a file, in the form of /proc/PID/smaps, that no page was ever written to: the others hold
 * what the dynamic loader wrote, which the file does not have. Read-only is not enough, since the loader
 * makes some so afterwards, nor is "Anonymous: 0", since what it wrote may be swapped out: the kernel's flag
 * `ac` tells that a mapping could once be written to.
 */
export function unwritten(smaps: string, file: string): Mapping[] {
  const mappings: Mapping[] = [];
  let current: Mapping | null = null;
  for (const line of smaps.split("\n")) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \d+ +(.*)$/.exec(line);
    if (header !== null) {
      const [, start, end, permissions = "", path] = header;
      current = path === file && /^r-.p$/.test(permissions)
        ? { start: BigInt(`0x${start}`), end: BigInt(`0x${end}`) }
        : null;
    } else if (/^(Anonymous|Swap): +[1-9]/.test(line)) {
      current = null;
    } else if (current !== null && line.startsWith("VmFlags: ") && !/ ac\b/.test(line)) {
      mappings.push(current);
    }
  }
  return mappings;
}
