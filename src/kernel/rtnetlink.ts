/**
 * Reads what the kernel sends on an rtnetlink socket: bytes in, typed messages out. Pure, and safe on
 * any bytes: a message that is truncated or has an attribute of the wrong length is dropped whole and
 * counted, never half understood.
 *
 * ```
 *   nlmsghdr   len u32 | type u16 | flags u16 | seq u32 | port u32          16 bytes, host byte order
 *   rtmsg      family | dst_len | src_len | tos | table | protocol | scope | type | flags u32
 *   ifinfomsg, ifaddrmsg, fib_rule_hdr: rtnetlink_notice.ts
 *   rtattr     len u16 | type u16 | value, padded to 4 bytes                 addresses in network order
 *   nlmsgerr   -errno i32 | the request's header [and its body, unless capped] | attributes
 * ```
 */

import { formatAddress, hasHostBits } from "./ipv4.ts";
import type { KernelRoute } from "./route.ts";
import {
  type AddressNotice,
  aligned,
  type LinkNotice,
  NLA_TYPE_MASK,
  type Nothing,
  readAddress,
  readLink,
  readRule,
  type RuleNotice,
} from "./rtnetlink_notice.ts";

/** What every message carries. */
interface Header {
  /** The sequence number of the request that it answers; 0 for a notification. */
  readonly seq: number;
  /** The port id of the socket whose request it answers or follows from; 0: the kernel itself. */
  readonly port: number;
  /** The dump that it belongs to was disturbed by a change (NLM_F_DUMP_INTR). */
  readonly interrupted: boolean;
}

/** The kernel's answer to a request: acknowledged (`errno` 0) or refused, with its words if it had some. */
export interface AnswerMessage extends Header {
  readonly kind: "answer";
  readonly errno: number;
  readonly text: string;
}

/** The end of a dump; it failed when `errno` is not 0. */
export interface DoneMessage extends Header {
  readonly kind: "done";
  readonly errno: number;
  readonly text: string;
}

/** An IPv4 route: part of a dump, or a notification that it came or went. */
export interface RouteMessage extends Header {
  readonly kind: "route";
  readonly change: "new" | "deleted";
  readonly route: KernelRoute;
  /** Not a blackhole, an unreachable, a prohibit, … route; those have neither next hop nor source here. */
  readonly unicast: boolean;
  /** A new route took the place of the first one with the same table, prefix and metric. */
  readonly replaced: boolean;
}

/** A link, an address or a rule: a notification that it came, changed or went. */
export type NoticeMessage = Header & (LinkNotice | AddressNotice | RuleNotice);

export type RtnetlinkMessage = AnswerMessage | DoneMessage | RouteMessage | NoticeMessage;

/** What was in a datagram. */
export interface ReadResult {
  readonly messages: RtnetlinkMessage[];
  /** Well-formed messages that livenessd has nothing to do with: IPv6, cached, table `local`, … */
  readonly ignored: number;
  /** Messages that are truncated, of unknown type, or inconsistent. */
  readonly unreadable: number;
}

const HEADER = 16;
const RTMSG = 12;

const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;

const NLM_F_DUMP_INTR = 0x10;
const NLM_F_REPLACE = 0x100;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;

const AF_INET = 2;
const RTN_UNICAST = 1;
const RTM_F_CLONED = 0x200;
const RT_TABLE_LOCAL = 255;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_ENCAP = 22;
const RTA_NH_ID = 30;

const text = new TextDecoder();

/**
 * Reads the messages of one datagram.
 *
 * @param bytes what was received, and nothing beyond it
 */
export function readMessages(bytes: Uint8Array): ReadResult {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: RtnetlinkMessage[] = [];
  let ignored = 0;
  let unreadable = 0;
  let at = 0;
  while (at < view.byteLength) {
    const length = view.byteLength - at < HEADER ? 0 : view.getUint32(at, true);
    if (length < HEADER || length > view.byteLength - at) {
      // Where the next message would start is anybody's guess.
      unreadable++;
      break;
    }
    const message = readMessage(view, at, at + length);
    if (message === "ignored") ignored++;
    else if (message === "unreadable") unreadable++;
    else messages.push(message);
    at += aligned(length);
  }
  return { messages, ignored, unreadable };
}

function readMessage(view: DataView, at: number, end: number): RtnetlinkMessage | Nothing {
  const type = view.getUint16(at + 4, true);
  const flags = view.getUint16(at + 6, true);
  const header: Header = {
    seq: view.getUint32(at + 8, true),
    port: view.getUint32(at + 12, true),
    interrupted: (flags & NLM_F_DUMP_INTR) !== 0,
  };
  const body = at + HEADER;
  switch (type) {
    case NLMSG_NOOP:
      return "ignored";
    case NLMSG_ERROR:
      return readAnswer(header, "answer", view, body, end, flags);
    case NLMSG_DONE:
      return readAnswer(header, "done", view, body, end, flags);
    case RTM_NEWROUTE:
      return readRoute(header, "new", (flags & NLM_F_REPLACE) !== 0, view, body, end);
    case RTM_DELROUTE:
      return readRoute(header, "deleted", false, view, body, end);
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return noticed(header, readLink(view, body, end, type === RTM_NEWLINK));
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return noticed(header, readAddress(view, body, end, type === RTM_NEWADDR));
    case RTM_NEWRULE:
    case RTM_DELRULE:
      return noticed(header, readRule(view, body, end, type === RTM_NEWRULE));
    default:
      return "unreadable";
  }
}

function noticed(
  header: Header,
  notice: LinkNotice | AddressNotice | RuleNotice | Nothing,
): NoticeMessage | Nothing {
  return typeof notice === "string" ? notice : { ...header, ...notice };
}

function readAnswer(
  header: Header,
  kind: "answer" | "done",
  view: DataView,
  at: number,
  end: number,
  flags: number,
): AnswerMessage | DoneMessage | Nothing {
  // A dump's end carries the number alone; an answer repeats the request's header after it.
  const request = kind === "answer" ? HEADER : 0;
  if (end - at < 4 + request) return "unreadable";
  const errno = -view.getInt32(at, true);
  if (errno < 0) return "unreadable";
  let words = "";
  if (flags & NLM_F_ACK_TLVS) {
    const whole = request > 0 && !(flags & NLM_F_CAPPED);
    const repeated = whole ? view.getUint32(at + 4, true) : request;
    if (repeated <= end - at - 4) words = readWords(view, at + 4 + aligned(repeated), end);
  }
  return { kind, ...header, errno: errno + 0, text: words };
}

/** The kernel's extended text among an answer's attributes; "" when there is none to be read. */
function readWords(view: DataView, at: number, end: number): string {
  while (end - at >= 4) {
    const length = view.getUint16(at, true);
    if (length < 4 || length > end - at) return "";
    if ((view.getUint16(at + 2, true) & NLA_TYPE_MASK) === NLMSGERR_ATTR_MSG) {
      const value = new Uint8Array(view.buffer, view.byteOffset + at + 4, length - 4);
      const nul = value.indexOf(0);
      return text.decode(nul < 0 ? value : value.subarray(0, nul));
    }
    at += aligned(length);
  }
  return "";
}

function readRoute(
  header: Header,
  change: "new" | "deleted",
  replaced: boolean,
  view: DataView,
  at: number,
  end: number,
): RouteMessage | Nothing {
  if (end - at < RTMSG) return "unreadable";
  if (view.getUint8(at) !== AF_INET) return "ignored";
  const prefixLength = view.getUint8(at + 1);
  const tos = view.getUint8(at + 3);
  const protocol = view.getUint8(at + 5);
  const type = view.getUint8(at + 7);
  const cloned = (view.getUint32(at + 8, true) & RTM_F_CLONED) !== 0;
  if (prefixLength > 32) return "unreadable";

  let table = view.getUint8(at + 4);
  let dst: number | null = prefixLength === 0 ? 0 : null;
  let via: number | null = null;
  let src: number | null = null;
  let ifindex = 0;
  let metric = 0;
  // Whether there is more to the next hop than one IPv4 gateway says.
  let elaborate = false;

  at += RTMSG;
  while (at < end) {
    const length = end - at < 4 ? 0 : view.getUint16(at, true);
    if (length < 4 || length > end - at) return "unreadable";
    const attribute = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
    switch (attribute) {
      case RTA_DST:
      case RTA_GATEWAY:
      case RTA_PREFSRC:
      case RTA_OIF:
      case RTA_PRIORITY:
      case RTA_TABLE:
        if (length !== 8) return "unreadable";
        break;
    }
    const value = at + 4;
    if (attribute === RTA_DST) dst = view.getUint32(value);
    else if (attribute === RTA_GATEWAY) via = view.getUint32(value);
    else if (attribute === RTA_PREFSRC) src = view.getUint32(value);
    else if (attribute === RTA_OIF) ifindex = view.getUint32(value, true);
    else if (attribute === RTA_PRIORITY) metric = view.getUint32(value, true);
    else if (attribute === RTA_TABLE) table = view.getUint32(value, true);
    else if (isElaborate(attribute)) elaborate = true;
    at += aligned(length);
  }
  if (dst === null || hasHostBits(dst, prefixLength) || table === 0) return "unreadable";

  // A route for one type of service only is another route than the one of the same prefix.
  if (tos !== 0 || cloned || table === RT_TABLE_LOCAL) return "ignored";
  const unicast = type === RTN_UNICAST;
  return {
    kind: "route",
    ...header,
    change,
    unicast,
    replaced,
    route: {
      table,
      dst: `${formatAddress(dst)}/${prefixLength}`,
      via: via === null || elaborate || !unicast ? null : formatAddress(via),
      src: src === null || !unicast ? null : formatAddress(src),
      ifindex,
      protocol,
      metric,
    },
  };
}

function isElaborate(attribute: number): boolean {
  return attribute === RTA_MULTIPATH || attribute === RTA_VIA || attribute === RTA_ENCAP ||
    attribute === RTA_NH_ID;
}
