import type { Handler } from "./handler.ts";
import { bindUnixSocket, removeSocket } from "./unix_socket.ts";

/** How long requests that are under way may take once the server is to end, milliseconds. */
const GRACE_MS = 1_000;

/** An HTTP server that is listening. */
export interface ApiServer {
  /** Where it listens: a path, or `HOST:PORT` with the port that was chosen. */
  readonly address: string;
  /** Removes the socket, stops listening and lets requests under way finish, for a second at most. */
  close(): Promise<void>;
  /** Removes the socket and nothing more: the process is about to end. */
  abandon(): void;
}

/**
 * Serves the control API on a Unix socket of mode 0660.
 * @param group name or number of the group that may use it; `null` for that of the process
 * @throws {SocketError} with a message for the operator
 */
export async function serveUnix(
  path: string,
  group: string | null,
  handler: Handler,
): Promise<ApiServer> {
  const server = await bindUnixSocket(
    path,
    group,
    (unfinished) => Deno.serve({ path: unfinished, onListen: quiet, onError }, handler),
  );
  const inode = Deno.lstatSync(path).ino ?? undefined;
  // One that somebody put in its place is not ours to remove.
  const abandon = () => removeSocket(path, inode);
  return {
    address: path,
    close: async () => {
      // The socket goes first, so that nobody connects to a daemon that is leaving.
      abandon();
      await end(server);
    },
    abandon,
  };
}

/**
 * Serves on TCP.
 * @throws {Error} with a message for the operator, when the address is in use or not ours
 */
export function serveTcp(hostname: string, port: number, handler: Handler): ApiServer {
  const options = { hostname, port, onListen: quiet, onError };
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve(options, handler);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot listen on ${hostname}:${port}: ${why}`);
  }
  const { addr } = server;
  const host = addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname;
  return { address: `${host}:${addr.port}`, close: () => end(server), abandon: () => {} };
}

// A client that neither reads nor leaves keeps its connection until the process ends. Cutting it with an
// AbortSignal is no way out: Deno throws when the signal fires after `shutdown`.
async function end(server: Deno.HttpServer): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const grace = new Promise<void>((resolve) => timer = setTimeout(resolve, GRACE_MS));
  await Promise.race([server.shutdown(), grace]);
  clearTimeout(timer);
}

function quiet(): void {}

// Handlers answer every error themselves; this one is about a response that could not be written.
function onError(): Response {
  return new Response(null, { status: 500 });
}
