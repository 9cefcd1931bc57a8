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
 * Makes the socket with `bind`, which must create it at `path` before it returns. What a killed run left
 * there is removed; a socket that somebody serves and a file of any other kind are not touched. The
 * socket is accessible to its owner alone until its group and mode 0660 are set.
 *
 * @throws {SocketError}
 */
export async function bindUnixSocket<T>(
  path: string,
  group: string | null,
  bind: () => T,
): Promise<T> {
  const gid = group === null ? null : gidOf(group, path);
  const directory = dirname(path);
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o755 });
    // Of two daemons that start at once, one waits here and then finds the other's socket alive.
    using lock = Deno.openSync(directory);
    await lock.lock(true);
    await removeStale(path);
    const bound = bindPrivately(bind);
    if (gid !== null) Deno.chownSync(path, null, gid);
    Deno.chmodSync(path, 0o660);
    return bound;
  } catch (error) {
    if (error instanceof SocketError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new SocketError(`cannot make the control socket ${path}: ${why}`);
  }
}

async function removeStale(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (!info.isSocket) {
    throw new SocketError(
      `${path} exists and is not a socket: remove it or set api.socket to another path`,
    );
  }
  if (await answersAt(path)) {
    throw new SocketError(`another livenessd is already answering at ${path}`);
  }
  Deno.removeSync(path);
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
