import type { EndpointCounters } from "./transport.ts";

/** Where a socket hands over what arrived and what could not be sent. */
export interface SocketSink {
  datagram(peer: number, bytes: DataView, offset: number, length: number): void;
  sendFailed(peer: number, reason: string): void;
  /** Something arrived outside of `drain`: the loop should turn. */
  arrived(): void;
}

/** One open UDP socket; how its packets move is what its implementations differ in. */
export interface DatagramSocket {
  readonly counters: EndpointCounters;
  /** Memory of the outgoing batch; valid until the next claim. */
  readonly tx: DataView;
  claim(peer: number): number;
  commit(length: number): void;
  flush(): void;
  /** Delivers what is waiting; false when more may be. */
  drain(): boolean;
  /** Whether arriving datagrams are to be announced. */
  wakeOnArrival(on: boolean): void;
  /** Keeps arriving datagrams from waking the process, for now. */
  mute(on: boolean): void;
  /** The runtime's epoll instance that the socket is registered with; -1 when it cannot be muted. */
  readonly epoll: number;
  /** The descriptor, for options and for asking many sockets at once. */
  readonly fd: number;
  close(): void;
}

export function newCounters(): EndpointCounters {
  return {
    rxDatagrams: 0,
    txDatagrams: 0,
    readErrors: 0,
    writeErrors: 0,
    connectionRefused: 0,
    noBuffers: 0,
    opens: 0,
    openErrors: 0,
  };
}
