import { tryConnect } from "../api/unix_socket.ts";
import { CliError, Exit } from "./exit.ts";
import type { CliIo } from "./io.ts";

/** A command that asks the daemon; what was typed has been judged before. */
export type DaemonCommand = (client: ApiClient, io: CliIo) => Promise<void>;

/** Talks to the daemon at a Unix socket. */
export class ApiClient implements Disposable {
  readonly #socket: string;
  readonly #http: Deno.HttpClient;

  private constructor(socket: string) {
    this.#socket = socket;
    this.#http = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  }

  /**
   * Makes sure that somebody answers at the socket.
   * @throws {CliError} status 3 when nobody does
   */
  static async connect(socket: string): Promise<ApiClient> {
    try {
      await tryConnect(socket);
    } catch (error) {
      throw explain(socket, error);
    }
    return new ApiClient(socket);
  }

  /**
   * Asks, and gives the answer back when it is a success.
   * @throws {CliError} with the API's own words when it refuses
   */
  async request(method: string, path: string, body?: unknown): Promise<Response> {
    let response: Response;
    try {
      // An address, because Deno now and then resolves a name although the request goes to the socket: a
      // name that nobody knows then costs the resolver's timeout.
      response = await fetch(`http://127.0.0.1${path}`, {
        method,
        client: this.#http,
        ...(body === undefined ? {} : {
          body: JSON.stringify(body),
          headers: { "content-type": "application/json" },
        }),
      });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new CliError(Exit.failed, `the daemon at ${this.#socket} did not answer: ${why}`);
    }
    if (response.ok) return response;
    throw await refusal(response);
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.request("GET", path);
    return await response.json() as T;
  }

  [Symbol.dispose](): void {
    this.#http.close();
  }
}

function explain(socket: string, error: unknown): CliError {
  if (error instanceof Deno.errors.PermissionDenied) {
    return new CliError(
      Exit.failed,
      `this user may not use ${socket}: become root or a member of the group that api.group names`,
    );
  }
  const why = error instanceof Deno.errors.NotFound
    ? "it does not exist"
    : error instanceof Deno.errors.ConnectionRefused
    ? "nobody answers there"
    : error instanceof Error
    ? error.message
    : String(error);
  return new CliError(
    Exit.noDaemon,
    `no livenessd at the socket ${socket}: ${why}\n` +
      'Start it with "systemctl start livenessd" or "livenessd run -c FILE", ' +
      "or say where it is with --socket PATH.",
  );
}

async function refusal(response: Response): Promise<CliError> {
  const text = await response.text();
  const status = response.status === 400 || response.status === 422 ? Exit.usage : Exit.failed;
  try {
    const problem = JSON.parse(text) as { detail?: string; candidates?: unknown };
    const candidates = Array.isArray(problem.candidates) ? problem.candidates : [];
    const lines = candidates.map((candidate) => `\n  ${words(candidate)}`).join("");
    return new CliError(status, `${problem.detail ?? text}${lines}`);
  } catch {
    return new CliError(status, `the daemon answered ${response.status}: ${text}`);
  }
}

/** `{peer: "10.0.0.2", dev: "tun0"}` as one would type it: `10.0.0.2 dev tun0`. */
function words(candidate: unknown): string {
  return Object.entries(candidate as Record<string, unknown>)
    .sort(([a], [b]) => Number(b === "peer" || b === "dst") - Number(a === "peer" || a === "dst"))
    .map(([name, value]) => name === "peer" || name === "dst" ? value : `${name} ${value}`)
    .join(" ");
}
