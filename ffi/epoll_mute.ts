/**
 * Keeps a socket of the runtime from waking the process while its packets are fetched by a tick.
 *
 * The runtime registers every socket with its epoll instance, edge triggered, for as long as it is open:
 * each arriving packet ends the wait of an idle event loop although nobody waits for packets. Under load
 * that costs more than moving the packets. So the registration's interest is set to nothing and later set
 * back to what it was; registration and token stay the runtime's own. Both are read from /proc, where the
 * kernel shows them. Where that is not possible, the socket stays as it is and only costs more.
 */
import { libc } from "./libc.ts";

const EPOLL_CTL_MOD = 3;
/** Interest in nothing, and edge triggered: errors, which cannot be masked, are told once and not for ever. */
const NOTHING = 1 << 31 >>> 0;
/** Nobody waits to send through the runtime; being told after each packet that one more fits costs a turn. */
const EPOLLOUT = 0x4;

/** A registration of a descriptor with an epoll instance, as /proc/self/fdinfo tells it. */
interface Registration {
  readonly epoll: number;
  readonly events: number;
  readonly data: bigint;
}

/** One socket's registration, muted or not. */
export class EpollMute {
  readonly #fd: number;
  readonly #registration: Registration | null;
  readonly #event = new Uint8Array(16);
  #muted = false;

  /** @param fd a socket that the runtime has registered, and that nobody sends on through the runtime */
  constructor(fd: number) {
    this.#fd = fd;
    this.#registration = findRegistration(fd);
    this.#apply(false);
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** The runtime's epoll instance; -1 where it was not found. */
  get epoll(): number {
    return this.#registration?.epoll ?? -1;
  }

  /** Lets arriving packets wake the process, or not. Returns false where that cannot be chosen. */
  mute(on: boolean): boolean {
    return on === this.#muted ? this.#registration !== null : this.#apply(on);
  }

  #apply(on: boolean): boolean {
    if (this.#registration === null) return false;
    const { epoll, events, data } = this.#registration;
    writeEvent(this.#event, on ? NOTHING : events, data);
    if (libc().epoll_ctl(epoll, EPOLL_CTL_MOD, this.#fd, this.#event) < 0) return false;
    this.#muted = on;
    return true;
  }
}

/** struct epoll_event is packed on x86-64 and aligned elsewhere. */
function writeEvent(bytes: Uint8Array<ArrayBuffer>, events: number, data: bigint): void {
  const view = new DataView(bytes.buffer);
  view.setUint32(0, events, true);
  view.setBigUint64(Deno.build.arch === "x86_64" ? 4 : 8, data, true);
}

function findRegistration(fd: number): Registration | null {
  try {
    for (const { name } of Deno.readDirSync("/proc/self/fd")) {
      if (!linkOf(name).includes("[eventpoll]")) continue;
      const info = Deno.readTextFileSync(`/proc/self/fdinfo/${name}`);
      const match = new RegExp(`^tfd:\\s+${fd} events:\\s+([0-9a-f]+) data:\\s+([0-9a-f]+)`, "m")
        .exec(info);
      if (match === null) continue;
      const [, events, data] = match;
      const interest = parseInt(events!, 16) & ~EPOLLOUT;
      return { epoll: Number(name), events: interest >>> 0, data: BigInt(`0x${data}`) };
    }
  } catch {
    // No /proc, or no permission: do without.
  }
  return null;
}

function linkOf(name: string): string {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${name}`);
  } catch {
    return "";
  }
}
