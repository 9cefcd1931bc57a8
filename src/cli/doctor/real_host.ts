import { libnlVersion } from "../../../ffi/libnl_version.ts";
import { tryConnect } from "../../api/unix_socket.ts";
import type { BindResult, CommandResult, DaemonAnswer, Host, LibnlResult } from "./host.ts";

/** A command that takes longer hangs: its answer is not waited for. */
const COMMAND_TIMEOUT_MS = 20_000;
const DAEMON_TIMEOUT_MS = 3_000;

/** This host, as it is. */
export const realHost: Host = {
  readFile(path) {
    return orNull(() => Deno.readTextFileSync(path));
  },

  list(folder) {
    return orNull(() => [...Deno.readDirSync(folder)].map((entry) => entry.name).sort()) ?? [];
  },

  readLink(path) {
    return orNull(() => Deno.readLinkSync(path));
  },

  async run(program, ...args): Promise<CommandResult | null> {
    const command = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { LC_ALL: "C" },
      signal: AbortSignal.timeout(COMMAND_TIMEOUT_MS),
    });
    try {
      const { code, stdout, stderr } = await command.output();
      const text = new TextDecoder();
      return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      return { code: 126, stdout: "", stderr: message(error) };
    }
  },

  tryBind(hostname, port): BindResult {
    try {
      Deno.listenDatagram({ transport: "udp", hostname, port }).close();
      return "bound";
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) return "in_use";
      if (error instanceof Deno.errors.AddrNotAvailable) return "not_local";
      return { refused: message(error) };
    }
  },

  async daemonAt(socket): Promise<DaemonAnswer> {
    const file = orNull(() => Deno.lstatSync(socket));
    if (file !== null && !file.isSocket) return { kind: "not_a_socket" };
    try {
      await tryConnect(socket);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return { kind: "absent" };
      if (error instanceof Deno.errors.ConnectionRefused) return { kind: "stale" };
      if (error instanceof Deno.errors.PermissionDenied) return { kind: "denied" };
      return { kind: "silent", reason: message(error) };
    }
    return await askStatus(socket);
  },

  loadLibnl(): LibnlResult {
    try {
      return { ok: true, version: libnlVersion() };
    } catch (error) {
      return { ok: false, reason: message(error) };
    }
  },
};

async function askStatus(socket: string): Promise<DaemonAnswer> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  try {
    const signal = AbortSignal.timeout(DAEMON_TIMEOUT_MS);
    const response = await fetch("http://127.0.0.1/v1/status", { client, signal });
    const { pid, version } = await response.json();
    if (typeof pid === "number" && typeof version === "string") {
      return { kind: "answers", pid, version };
    }
    return { kind: "silent", reason: "its answer is not that of livenessd" };
  } catch (error) {
    return { kind: "silent", reason: message(error) };
  }
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null; // absent or not ours to read: what follows from that is the check's to say
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
