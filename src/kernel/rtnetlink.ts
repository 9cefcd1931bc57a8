/**
 * Reads what the kernel sends on an rtnetlink socket: bytes in, typed messages out. Pure, and safe on
 * any bytes: a message that is truncated or has an attribute of the wrong length is dropped whole and
 * counted, never half understood.
 *
 * ```
 *   nlmsghdr   len u32 | type u16 | flags u16 | seq u32 | port u32          16 bytes, host byte order
 *   rtmsg: rtnetlink_route.ts; ifinfomsg, ifaddrmsg, fib_rule_hdr: rtnetlink_notice.ts
 *   rtattr     len u16 | type u16 | value, padded to 4 bytes                 addresses in network order
 *   nlmsgerr   -errno i32 | the request's header [and its body, unless capped] | attributes
 * ```
 */

import { type KernelRoute, kernelRoute } from "./route.ts";
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
import { readRoute, RouteRecord } from "./rtnetlink_route.ts";

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

/** An IPv4 route: a notification that it came or went, or part of a dump. */
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

/** Takes the messages of a datagram, in their order. */
export interface MessageSink {
  /** Counted up, as in {@linkcode ReadResult}. */
  ignored: number;
  unreadable: number;
  /** A message of a route, to be read at once: the next one overwrites it. */
  route(record: RouteRecord): void;
  other(message: AnswerMessage | DoneMessage | NoticeMessage): void;
}

const HEADER = 16;

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

const text = new TextDecoder();

/** The one route that is being read. */
const record = new RouteRecord();

/**
 * Reads the messages of one datagram.
 *
 * @param bytes what was received, and nothing beyond it
 */
export function readMessages(bytes: Uint8Array): ReadResult {
  const messages: RtnetlinkMessage[] = [];
  const sink: MessageSink = {
    ignored: 0,
    unreadable: 0,
    route: (record) => messages.push(routeMessage(record)),
    other: (message) => messages.push(message),
  };
  readInto(sink, bytes);
  const { ignored, unreadable } = sink;
  return { messages, ignored, unreadable };
}

/** The same for those who look at many routes: makes nothing for a route. */
export function readInto(sink: MessageSink, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < view.byteLength) {
    const length = view.byteLength - at < HEADER ? 0 : view.getUint32(at, true);
    if (length < HEADER || length > view.byteLength - at) {
      // Where the next message would start is anybody's guess.
      sink.unreadable++;
      break;
    }
    const type = view.getUint16(at + 4, true);
    const nothing = type === RTM_NEWROUTE || type === RTM_DELROUTE
      ? takeRoute(sink, view, at, at + length)
      : takeOther(sink, view, at, at + length);
    if (nothing === "ignored") sink.ignored++;
    else if (nothing === "unreadable") sink.unreadable++;
    at += aligned(length);
  }
}

function takeRoute(sink: MessageSink, view: DataView, at: number, end: number): Nothing | null {
  const nothing = readRoute(view, at + HEADER, end, record);
  if (nothing !== null) return nothing;
  const flags = view.getUint16(at + 6, true);
  record.deleted = view.getUint16(at + 4, true) === RTM_DELROUTE;
  record.replaced = !record.deleted && (flags & NLM_F_REPLACE) !== 0;
  record.seq = view.getUint32(at + 8, true);
  record.port = view.getUint32(at + 12, true);
  record.interrupted = (flags & NLM_F_DUMP_INTR) !== 0;
  sink.route(record);
  return null;
}

function routeMessage(record: RouteRecord): RouteMessage {
  const { seq, port, interrupted, deleted, unicast, replaced } = record;
  const change = deleted ? "deleted" : "new";
  const route = kernelRoute(record);
  return { kind: "route", seq, port, interrupted, change, unicast, replaced, route };
}

function takeOther(sink: MessageSink, view: DataView, at: number, end: number): Nothing | null {
  const message = readOther(view, at, end);
  if (typeof message === "string") return message;
  sink.other(message);
  return null;
}

function readOther(
  view: DataView,
  at: number,
  end: number,
): AnswerMessage | DoneMessage | NoticeMessage | Nothing {
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
