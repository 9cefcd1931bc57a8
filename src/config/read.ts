/** Configuration files, from the file system. */
import { loadConfig, type LoadOptions, type LoadResult } from "./load.ts";
import { type Location, mismatch, type Problem } from "./problem.ts";
import type { TextResult } from "./route_config.ts";

/** 8 MiB: room for tens of thousands of routes. */
export const MAX_FILE_BYTES = 8 * 1024 * 1024;

/** Reads and loads a configuration file. Never throws: what is wrong with the file is a problem. */
export function readConfig(path: string, options: Omit<LoadOptions, "readFile">): LoadResult {
  const read = readText(path);
  if (!read.ok) return { ok: false, problems: read.problems, warnings: [] };
  return loadConfig(read.text, path, { ...options, readFile: readText });
}

/** A text file's content, or what it is instead. Pipes and the like are read up to `limit` bytes. */
export function readText(path: string, limit = MAX_FILE_BYTES): TextResult {
  try {
    using file = Deno.openSync(path);
    const stat = file.statSync();
    if (stat.isDirectory) return refused(path, "a directory", "a file");
    if (stat.isFile && stat.size > limit) return tooLarge(path, `${stat.size} bytes`, limit);
    const bytes = readUpTo(file, limit + 1);
    if (bytes.length > limit) return tooLarge(path, `more than ${limit} bytes`, limit);
    return decode(path, bytes);
  } catch (error) {
    return explain(path, error);
  }
}

function readUpTo(file: Deno.FsFile, limit: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const chunk = new Uint8Array(Math.min(64 * 1024, limit - length));
    const read = file.readSync(chunk);
    if (read === null) break;
    chunks.push(chunk.subarray(0, read));
    length += read;
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function decode(path: string, bytes: Uint8Array): TextResult {
  const nul = bytes.indexOf(0);
  if (nul >= 0) {
    return refused(path, "a binary file", "text in UTF-8", `NUL byte at offset ${nul}`);
  }
  try {
    return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    const line = firstUndecodableLine(bytes);
    const problem = mismatch(
      { file: path, line, column: null },
      [],
      "bytes that are not UTF-8",
      "text in UTF-8",
    );
    return { ok: false, problems: [problem] };
  }
}

/** No UTF-8 sequence contains a newline, so that lines can be judged one by one. */
function firstUndecodableLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  for (let start = 0; start < bytes.length; line += 1) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end + 1;
  }
  return line;
}

function explain(path: string, error: unknown): TextResult {
  if (error instanceof Deno.errors.NotFound) return refused(path, "no such file", "a file");
  if (error instanceof Deno.errors.IsADirectory) return refused(path, "a directory", "a file");
  if (error instanceof Deno.errors.PermissionDenied) {
    return refused(path, "a file that this user may not read", "a readable file");
  }
  const why = error instanceof Error ? error.message : String(error);
  return refused(path, "a file that cannot be read", "a readable file", why);
}

function tooLarge(path: string, given: string, limit: number): TextResult {
  return refused(path, given, `at most ${limit} bytes (${limit / 1024 / 1024} MiB)`);
}

function refused(path: string, given: string, expected: string, remark?: string): TextResult {
  const place: Location = { file: path, line: null, column: null };
  const problem: Problem = mismatch(place, [], given, expected, remark);
  return { ok: false, problems: [problem] };
}
