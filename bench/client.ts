/** livenessd's own figures, asked for over its control socket. */

/** What one scrape told. */
export class Scrape {
  readonly #lines: string[];

  constructor(text: string) {
    this.#lines = text.split("\n").filter((line) => !line.startsWith("#"));
  }

  /** The sum of all series of this name whose labels contain all of `labels`, such as `reason="short"`. */
  sum(name: string, ...labels: string[]): number {
    let sum = 0;
    let found = false;
    for (const line of this.#lines) {
      const [, series, rest, value] = /^([a-z_]+)(\{.*\})? (\S+)$/.exec(line) ?? [];
      if (series !== name || !labels.every((label) => rest?.includes(label))) continue;
      found = true;
      sum += Number(value);
    }
    // A counter with labels has no series before it counts; one without labels must be there.
    if (!found && labels.length === 0) throw new Error(`livenessd has no metric ${name}`);
    return sum;
  }

  /** Sessions that left Up. */
  get downs(): number {
    return this.sum("doublezero_liveness_session_transitions_total", 'state_from="up"');
  }

  /** Of a histogram in seconds, since `before`: observations, and those within `bound` (one of its bounds). */
  within(histogram: string, bound: number, before?: Scrape): { count: number; within: number } {
    const since = (name: string, ...labels: string[]) =>
      this.sum(name, ...labels) - (before?.sum(name, ...labels) ?? 0);
    return {
      count: since(`${histogram}_count`),
      within: since(`${histogram}_bucket`, `le="${bound}"`),
    };
  }
}

/** Talks to a daemon. Dispose of it to close the connections. */
export class Client implements Disposable {
  readonly #http: Deno.HttpClient;

  constructor(readonly socket: string) {
    this.#http = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  }

  /** The answer to a GET. Throws when it is no success. */
  async get(path: string): Promise<Response> {
    const response = await fetch(`http://127.0.0.1${path}`, { client: this.#http });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  async scrape(): Promise<Scrape> {
    return new Scrape(await (await this.get("/metrics")).text());
  }

  [Symbol.dispose](): void {
    this.#http.close();
  }
}
