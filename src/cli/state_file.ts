import { dirname } from "node:path";
import type { Place } from "../manager/former_run.ts";
import type { StateStore, StateText } from "../manager/state_keeper.ts";

/** A file of 200,000 sessions and as many routes is smaller. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Others may neither read nor write it: the discriminators of sessions are no one else's business. */
const MODE = 0o600;
const OTHERS_WRITE = 0o022;

/**
 * The state in a file. The daemon is root and believes what it reads there, so only a regular file of its
 * own user that nobody else can write is read or replaced; links are not followed.
 */
export class StateFile implements StateStore {
  constructor(readonly name: string) {}

  get here(): Place {
    return {
      boot: Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim(),
      netns: String(Deno.statSync("/proc/self/ns/net").ino),
    };
  }

  read(): string | null {
    const info = this.#examine();
    if (info === null) return null;
    using file = Deno.openSync(this.name);
    const opened = file.statSync();
    if (opened.ino !== info.ino || opened.dev !== info.dev) {
      throw new Error(`${this.name} was replaced while it was opened`);
    }
    const bytes = new Uint8Array(info.size);
    let length = 0;
    for (let count; (count = file.readSync(bytes.subarray(length))) !== null && count > 0;) {
      length += count;
    }
    return new TextDecoder().decode(bytes.subarray(0, length));
  }

  begin(): StateText {
    Deno.mkdirSync(dirname(this.name), { recursive: true, mode: 0o755 });
    this.#examine();
    return new UnfinishedFile(this.name);
  }

  /** What is at the path; `null` for nothing. Throws for what is not ours to read or replace. */
  #examine(): Deno.FileInfo | null {
    const info = lstatOrNull(this.name);
    if (info === null) return null;
    const refuse = (what: string) => new Error(`${this.name} ${what}; remove it or set state.file`);
    if (!info.isFile) throw refuse("is not a regular file");
    if (info.uid !== Deno.uid()) throw refuse(`belongs to user ${info.uid}, not to this one`);
    if ((info.mode ?? 0) & OTHERS_WRITE) throw refuse("can be written by other users");
    if (info.size > MAX_BYTES) throw refuse(`has ${info.size} bytes, too many for a state file`);
    return info;
  }
}

/** The next text, under another name until it is whole. Not synced: it is of no use after a power failure. */
class UnfinishedFile implements StateText {
  readonly #file: Deno.FsFile;
  readonly #unfinished: string;
  readonly #encoder = new TextEncoder();

  constructor(private readonly name: string) {
    this.#unfinished = `${name}.new`;
    // A killed run's; or whatever it is, it is not written to: a link's own name goes, not its target.
    if (lstatOrNull(this.#unfinished) !== null) Deno.removeSync(this.#unfinished);
    this.#file = Deno.openSync(this.#unfinished, { write: true, createNew: true, mode: MODE });
  }

  write(part: string): void {
    const bytes = this.#encoder.encode(part);
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
  }

  commit(): void {
    this.#file.close();
    Deno.renameSync(this.#unfinished, this.name);
  }

  discard(): void {
    this.#file.close();
    Deno.removeSync(this.#unfinished);
  }
}

function lstatOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
