/**
 * Parking: waiting for packets and for the runtime in one system call of our own.
 *
 * A turn of the runtime's event loop costs many times what the few packets cost that it was woken for.
 * While nothing else goes on, the process therefore waits in `poll()` on its sockets and on the
 * runtime's own epoll descriptor: packets are handled without the runtime's turning at all, and whatever
 * else happens (a request, a signal, an answer from another thread) ends the wait at once.
 */

/** Why a wait ended. */
export type ParkEnd = "arrival" | "runtime" | "timeout";

/** What can be waited at. */
export interface Parking {
  /** Whether it can be waited here now. */
  readonly parkable: boolean;
  /** Keeps packets from waking the runtime, until {@linkcode leavePark}. */
  enterPark(): void;
  leavePark(): void;
  /** Waits, with the whole isolate standing still. @param timeoutMs whole milliseconds */
  park(timeoutMs: number): ParkEnd;
  /** Hands over what arrived. */
  arrived(): void;
}
