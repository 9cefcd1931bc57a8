import { addressKey } from "./address.ts";

/**
 * Waits for datagrams with the runtime's own `receive()`, one at a time: what wakes the loop when there is
 * little traffic, and all there is on the plain path.
 */
export class ReceivePump {
  readonly #buffer = new Uint8Array(2_048);
  readonly #view = new DataView(this.#buffer.buffer);
  #wanted = false;
  #running = false;
  #closed = false;
  /** How often a `receive()` was begun: tells whether one has been waiting all the while. */
  begun = 0;

  constructor(
    private readonly connection: Deno.DatagramConn,
    private readonly deliver: (peer: number, bytes: DataView, length: number) => void,
    private readonly failed: () => void,
  ) {}

  /** Starts or, after the datagram being waited for, stops. */
  want(on: boolean): void {
    this.#wanted = on;
    if (on && !this.#running && !this.#closed) this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#wanted = false;
  }

  /** True while a `receive()` is waiting. */
  get waiting(): boolean {
    return this.#running;
  }

  async #run(): Promise<void> {
    this.#running = true;
    let failures = 0;
    while (this.#wanted) {
      try {
        this.begun++;
        const [data, from] = await this.connection.receive(this.#buffer);
        failures = 0;
        const peer = addressKey((from as Deno.NetAddr).hostname);
        if (!this.#closed) this.#handOver(peer, data.length);
      } catch {
        if (this.#closed) break;
        this.failed();
        // A socket that only fails must not spin; it is looked at again when the loop asks for it.
        if (++failures > 8) this.#wanted = false;
      }
    }
    this.#running = false;
  }

  /** A defect in what handles datagrams is no failure to receive them: it is told as what it is. */
  #handOver(peer: number, length: number): void {
    try {
      this.deliver(peer, this.#view, length);
    } catch (error) {
      reportError(error);
    }
  }
}
