/**
 * Waiting for a descriptor without the runtime's help: a thread parked in poll(). It costs nothing while
 * nothing happens and wakes the loop within 0.1 ms, but keeps the process alive until it returns; hence
 * a second descriptor, by which it can be made to.
 */

import { openLibnl } from "./libnl.ts";

const EFD_CLOEXEC = 0o2000000;
const POLLIN = 1;

/** A place for one thread to wait at. */
export class Parking implements Disposable {
  readonly #core = openLibnl().core;
  readonly #wake: number;
  /** Two `struct pollfd { int fd; short events; short revents; }`. */
  readonly #polled = new Uint8Array(16);

  /**
   * @param descriptor what to wait for; it must not be closed while a thread waits
   * @throws {Error} when the process has no descriptor left
   */
  constructor(descriptor: number) {
    this.#wake = this.#core.eventfd(0, EFD_CLOEXEC);
    if (this.#wake < 0) throw new Error("cannot wait for the kernel: no file descriptor is left");
    const view = new DataView(this.#polled.buffer);
    [descriptor, this.#wake].forEach((fd, index) => {
      view.setInt32(index * 8, fd, true);
      view.setInt16(index * 8 + 4, POLLIN, true);
    });
  }

  /** Settles when the descriptor has something to read, or once {@linkcode wake} was called. */
  async wait(): Promise<void> {
    await this.#core.poll_in_thread(this.#polled, 2n, -1);
  }

  /** Ends the wait, and every later one at once. */
  wake(): void {
    this.#core.eventfd_write(this.#wake, 1n);
  }

  /** Never while a thread waits. */
  [Symbol.dispose](): void {
    this.#core.close(this.#wake);
  }
}
