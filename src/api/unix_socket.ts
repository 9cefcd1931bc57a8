import { dirname } from "node:path";

/** Why the control socket could not be made; the message is for people and names the path. */
export class SocketError extends Error {
  override readonly name = "SocketError";
}

/**
 * Connects to the socket and leaves again.
 * @throws {Deno.errors.NotFound} when there is no such file
 * @throws {Deno.errors.ConnectionRefused} when nobody serves it
 * @throws {Deno.errors.PermissionDenied} when this user may not use it
 */
export async function tryConnect(path: string): Promise<void> {
  (await Deno.connect({ transport: "unix", path })).close();
}

/** Whether a daemon answers at the path. A socket that nobody serves is stale. */
async function answersAt(path: string): Promise<boolean> {
  try {
    await tryConnect(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return false;
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Makes the socket with `bind`, which must create it where it is told before it returns. What a killed
 * run left at `path` is replaced; a socket that somebody serves and a file of any other kind are not
 * touched. Nobody sees the socket at `path` before its group and mode 0660 are set.
 *
 * @throws {SocketError}
 */
export async function bindUnixSocket<T>(
  path: string,
  group: string | null,
  bind: (path: string) => T,
): Promise<T> {
  const gid = group === null ? null : gidOf(group, path);
  const directory = dirname(path);
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o755 });
    // Of two daemons that start at once, one waits here and then finds the other's socket alive.
    using lock = Deno.openSync(directory);
    await lock.lock(true);
    await makeSureNobodyServes(path);
    // Made under another name: Deno unlinks the name that it was given when it stops serving, and by
    // then the socket at `path` may be another daemon's.
    const unfinished = unfinishedName(path);
    removeSocket(unfinished);
    const bound = bindPrivately(() => bind(unfinished));
    if (gid !== null) Deno.chownSync(unfinished, null, gid);
    Deno.chmodSync(unfinished, 0o660);
    Deno.renameSync(unfinished, path);
    return bound;
  } catch (error) {
    if (error instanceof SocketError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new SocketError(`cannot make the control socket ${path}: ${why}`);
  }
}

async function makeSureNobodyServes(path: string): Promise<void> {
  const info = statOrNull(path);
  if (info === null) return;
  if (!info.isSocket) {
    throw new SocketError(
      `${path} exists and is not a socket: remove it or set api.socket to another path`,
    );
  }
  if (await answersAt(path)) {
    throw new SocketError(`another livenessd is already answering at ${path}`);
  }
}

/** Removes the socket file at `path`; with an `inode`, only if it is that one. */
export function removeSocket(path: string, inode?: number): void {
  const info = statOrNull(path);
  if (info?.isSocket && (inode === undefined || info.ino === inode)) Deno.removeSync(path);
}

// Of the same length, because the path of a socket may have no more than 107 bytes.
function unfinishedName(path: string): string {
  return path.slice(0, -1) + (path.endsWith("~") ? "+" : "~");
}

function statOrNull(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function bindPrivately<T>(bind: () => T): T {
  const umask = Deno.umask(0o177);
  try {
    return bind();
  } finally {
    Deno.umask(umask);
  }
}

/** The number of a group, given by name or number. */
function gidOf(group: string, path: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of Deno.readTextFileSync("/etc/group").split("\n")) {
    const [name, , gid] = line.split(":");
    if (name === group && gid !== undefined) return Number(gid);
  }
  throw new SocketError(
    `api.group: there is no group "${group}" in /etc/group to own ${path}; ` +
      `create it (groupadd --system ${group}) or name another`,
  );
}
