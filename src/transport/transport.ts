/** Byte length of the datagram slot that {@linkcode Endpoint.claim} hands out. */
export const SLOT_BYTES = 64;

/** Plain counters of one endpoint; the metrics registry reads them when it is scraped. Only grow. */
export interface EndpointCounters {
  rxDatagrams: number;
  txDatagrams: number;
  /** Receive calls that failed (not: "nothing to read"). */
  readErrors: number;
  /** Datagrams that the kernel refused to send, by cause. */
  writeErrors: number;
  /** Among them: ICMP port or host unreachable reported on the socket. */
  connectionRefused: number;
  /** Among them: ENOBUFS or EAGAIN, the interface's queue is full. */
  noBuffers: number;
  /** Times that the socket was opened, so that 1 means "never reopened". */
  opens: number;
  /** Failed attempts to open it. */
  openErrors: number;
}

/**
 * One UDP socket for one (interface, local address): its identity says where a packet arrived.
 * An endpoint whose address or interface does not exist is `waiting` and opens by itself later.
 */
export interface Endpoint {
  readonly dev: string;
  /** Local IPv4 address, dotted quad. */
  readonly address: string;
  readonly port: number;
  readonly counters: EndpointCounters;
  /** True while a socket is open. */
  readonly open: boolean;
  /** Why it is not open, in words for an operator; `null` while open. */
  readonly reason: string | null;
  /** The interface has one far end and resolves no neighbours (tunnels): no probe route is needed. */
  readonly pointToPoint: boolean;
  /** The outgoing batch; the 40 bytes at the offset given by {@linkcode claim} are the caller's. */
  readonly tx: DataView;
  /**
   * Takes the next datagram slot for `peer` (IPv4 address as a signed 32-bit integer) and returns
   * its offset in {@linkcode tx}; the caller writes the packet there at once. It is sent by the
   * next {@linkcode Transport.flush} at the latest. Returns -1 while the endpoint is not open.
   */
  claim(peer: number): number;
  /** Says how many bytes of the slot last claimed are the packet (at most SLOT_BYTES). */
  commit(length: number): void;
}

/** Where the transport delivers. Called inside `drain`, or between turns for unbatched packets. */
export interface Receiver {
  /**
   * One datagram: `bytes` from `offset`, `length` long (the datagram's true length, of which at
   * least the first SLOT_BYTES are readable). `peer` is the source address as a signed 32-bit integer.
   */
  datagram(endpoint: Endpoint, peer: number, bytes: DataView, offset: number, length: number): void;
  /** A datagram to `peer` could not be sent; `reason` is the field's word, e.g. `connection refused`. */
  sendFailed(endpoint: Endpoint, peer: number, reason: string): void;
  /** The endpoint opened, was lost (its `open` and `reason` say which), or its link came back up. */
  endpointChanged(endpoint: Endpoint): void;
}

/** The transport seam. */
export interface Transport {
  /** What is in use and why, for the log and `status`: e.g. `recvmmsg/sendmmsg`. */
  readonly mode: string;
  /** Datagrams delivered so far, valid or not. Only grows. */
  readonly received: number;
  /** Sets where datagrams go and how the loop is woken when some wait. Call once, before `acquire`. */
  start(receiver: Receiver, wake: () => void): void;
  /** Whether arriving datagrams wake the loop (the default) or wait for its next turn. */
  wakeOnArrival(on: boolean): void;
  /** The endpoint for (dev, address), opened if it is the first user; each call counts one user. */
  acquire(dev: string, address: string): Endpoint;
  /** Gives one use back; the last closes the socket. */
  release(endpoint: Endpoint): void;
  endpoints(): Iterable<Endpoint>;
  /**
   * Delivers what is waiting on every socket. Returns false when something may still wait, in which
   * case the caller must not judge anybody silent yet.
   */
  drain(): boolean;
  /** Sends everything claimed since the last flush. */
  flush(): void;
  /** Opens what can be opened now and notices addresses and interfaces that went or were recreated. */
  maintain(): void;
  /** Closes every socket. */
  close(): void;
}
