/** Socket options and interface facts through the C library, as typed functions over a descriptor. */
import { libc } from "./libc.ts";

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_TYPE = 3;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_MARK = 36;
const SOL_IP = 0;
const IP_TOS = 1;
const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_PROBE = 3;
const IP_RECVERR = 11;

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCGIFFLAGS = 0x8913n;
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;

/** `IFF_UP`: the interface is administratively up (ip-link's `up`). */
export const IFF_UP = 0x1;
/** `IFF_POINTOPOINT`: the link has one far end. */
export const IFF_POINTOPOINT = 0x10;
/** `IFF_RUNNING`: the link has carrier. */
export const IFF_RUNNING = 0x40;

/** A socket call that failed: which, and the kernel's errno. */
export class SocketError extends Error {
  override readonly name = "SocketError";
  constructor(readonly call: string, readonly errno: number) {
    super(`${call}: ${errnoText(errno)}`);
  }
}

const ERRNO_TEXTS: Readonly<Record<number, string>> = {
  1: "operation not permitted (CAP_NET_ADMIN or CAP_NET_RAW is missing)",
  11: "queue full",
  13: "permission denied",
  19: "no such interface",
  22: "local address is gone",
  90: "message too long",
  99: "address not available",
  100: "network is down",
  101: "network unreachable",
  105: "no buffer space",
  111: "connection refused",
  113: "host unreachable",
};

/** What an errno of a UDP socket means to an operator. */
export function errnoText(errno: number): string {
  return ERRNO_TEXTS[errno] ?? `errno ${errno}`;
}

const word = new Int32Array(1);
const wordBytes = new Uint8Array(word.buffer);
const length = new Uint32Array(1);
const lengthBytes = new Uint8Array(length.buffer);

function setNumber(fd: number, level: number, option: number, value: number): number {
  word[0] = value;
  return libc().setsockopt(fd, level, option, wordBytes, 4) < 0 ? libc().errno() : 0;
}

function mustSet(call: string, errno: number): void {
  if (errno !== 0) throw new SocketError(call, errno);
}

/**
 * Ties a socket to an interface: it sends and receives there only.
 *
 * @throws {SocketError} ENODEV when there is no such interface, EPERM without CAP_NET_RAW
 */
export function bindToDevice(fd: number, dev: string): void {
  const name = new TextEncoder().encode(`${dev}\0`);
  const failed = libc().setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) < 0;
  mustSet(`bind to ${dev}`, failed ? libc().errno() : 0);
}

/** Sets SO_REUSEADDR, which only matters while another socket is being bound to the same address. */
export function setReuseAddress(fd: number, on: boolean): void {
  mustSet("SO_REUSEADDR", setNumber(fd, SOL_SOCKET, SO_REUSEADDR, on ? 1 : 0));
}

/** Sets the firewall mark that rules choose tables by. @throws {SocketError} without CAP_NET_ADMIN */
export function setMark(fd: number, mark: number): void {
  mustSet("SO_MARK", setNumber(fd, SOL_SOCKET, SO_MARK, mark));
}

/**
 * TTL 255, as RFC 5881 §5 has it, DSCP CS6 (RFC 4594: network control), and never fragmented: packets of
 * 68 bytes need not be, and the kernel need not number them.
 */
export function setIpHeader(fd: number): void {
  mustSet("IP_MTU_DISCOVER", setNumber(fd, SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE));
  mustSet("IP_TTL", setNumber(fd, SOL_IP, IP_TTL, 255));
  mustSet("IP_TOS", setNumber(fd, SOL_IP, IP_TOS, 48 << 2));
}

/** Has ICMP errors queued with the destination that they are about; see {@linkcode ErrorQueue}. */
export function receiveErrors(fd: number): void {
  mustSet("IP_RECVERR", setNumber(fd, SOL_IP, IP_RECVERR, 1));
}

/**
 * Asks for buffers of `bytes` each way, beyond the system's limit where we may.
 *
 * @returns the receive buffer that the kernel granted, in bytes
 */
export function setBuffers(fd: number, bytes: number): number {
  if (setNumber(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes) !== 0) {
    setNumber(fd, SOL_SOCKET, SO_RCVBUF, bytes);
  }
  if (setNumber(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes) !== 0) {
    setNumber(fd, SOL_SOCKET, SO_SNDBUF, bytes);
  }
  return getNumber(fd, SO_RCVBUF);
}

function getNumber(fd: number, option: number): number {
  length[0] = 4;
  return libc().getsockopt(fd, SOL_SOCKET, option, wordBytes, lengthBytes) < 0 ? -1 : word[0]!;
}

/**
 * The descriptor of a UDP socket that the runtime opened, found by its local address.
 *
 * @param from where to begin to look: the lowest descriptor that was free before the socket was opened
 * @param taken descriptors that are known to be other sockets
 */
export function findUdpDescriptor(
  address: string,
  port: number,
  from: number,
  taken: ReadonlySet<number>,
): number | null {
  for (let fd = from; fd < from + 64; fd++) {
    if (!taken.has(fd) && isUdpSocketAt(fd, address, port)) return fd;
  }
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (!taken.has(fd) && isUdpSocketAt(fd, address, port)) return fd;
  }
  return null;
}

/** The lowest descriptor that is free now. */
export function lowestFreeDescriptor(): number {
  const fd = libc().dup(0);
  if (fd < 0) return 3;
  libc().close(fd);
  return fd;
}

const sockaddr = new Uint8Array(128);
const sockaddrView = new DataView(sockaddr.buffer);

function isUdpSocketAt(fd: number, address: string, port: number): boolean {
  length[0] = sockaddr.length;
  if (libc().getsockname(fd, sockaddr, lengthBytes) < 0) return false;
  if (sockaddrView.getUint16(0, true) !== AF_INET || sockaddrView.getUint16(2) !== port) {
    return false;
  }
  if (sockaddr.slice(4, 8).join(".") !== address) return false;
  return getNumber(fd, SO_TYPE) === SOCK_DGRAM;
}

/** The index of an interface in this network namespace; 0 when there is none of that name. */
export function interfaceIndex(dev: string): number {
  return libc().if_nametoindex(new TextEncoder().encode(`${dev}\0`));
}

/** An interface's flags, asked through any socket; 0 when there is no such interface. */
export function interfaceFlags(fd: number, dev: string): number {
  const request = new Uint8Array(IFREQ_BYTES);
  request.set(new TextEncoder().encode(dev).subarray(0, IFNAMSIZ - 1));
  if (libc().ioctl(fd, SIOCGIFFLAGS, request) < 0) return 0;
  return new DataView(request.buffer).getUint16(IFNAMSIZ, true);
}
