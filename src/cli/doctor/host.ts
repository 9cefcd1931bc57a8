/** What the checks read of the host: every fact from outside comes through this. */
export interface Host {
  /** A file's text; `null` when it does not exist or cannot be read. */
  readFile(path: string): string | null;
  /** A folder's names; empty when it does not exist or cannot be read. */
  list(folder: string): readonly string[];
  /** Where a symbolic link leads; `null` when it cannot be read. */
  readLink(path: string): string | null;
  /** Runs a program to its end, without a shell. `null` when it is not installed. */
  run(program: string, ...args: string[]): Promise<CommandResult | null>;
  /** Binds a UDP socket and closes it again. Port 0 is any. */
  tryBind(address: string, port: number): BindResult;
  /** Asks who answers at a control socket. */
  daemonAt(socket: string): Promise<DaemonAnswer>;
  /** Loads libnl as the daemon does. */
  loadLibnl(): LibnlResult;
}

/** How a command ended. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** `not_local`: no interface has the address. */
export type BindResult = "bound" | "in_use" | "not_local" | { readonly refused: string };

/**
 * - `answers`: a daemon, with its process id.
 * - `silent`: somebody took the connection and did not answer as a daemon does.
 * - `stale`: a socket file that nobody serves.
 * - `not_a_socket`: another kind of file is there.
 */
export type DaemonAnswer =
  | { readonly kind: "answers"; readonly pid: number; readonly version: string }
  | { readonly kind: "absent" | "stale" | "denied" | "not_a_socket" }
  | { readonly kind: "silent"; readonly reason: string };

export type LibnlResult =
  | { readonly ok: true; readonly version: string }
  | { readonly ok: false; readonly reason: string };
