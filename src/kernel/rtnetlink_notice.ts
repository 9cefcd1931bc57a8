/**
 * Reads the bodies of rtnetlink's notifications of links, addresses and rules, with the care that
 * rtnetlink.ts describes.
 *
 * ```
 *   ifinfomsg     family u8 | - u8 | type u16 | index i32 | flags u32 | change u32
 *   ifaddrmsg     family u8 | prefixlen u8 | flags u8 | scope u8 | index u32
 *   fib_rule_hdr  family | dst_len | src_len | tos | table | - | - | action   u8 each | flags u32
 * ```
 */

import { formatAddress } from "./ipv4.ts";

/** What a reader of one message's body answers when it yields no message. */
export type Nothing = "ignored" | "unreadable";

/** A link that is there, or (`present` false) is gone from this network namespace. */
export interface LinkNotice {
  readonly kind: "link";
  readonly ifindex: number;
  readonly name: string;
  readonly present: boolean;
  /** `IFF_*`. */
  readonly flags: number;
}

/** An IPv4 address of an interface. */
export interface AddressNotice {
  readonly kind: "address";
  readonly ifindex: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly present: boolean;
}

/** An IPv4 rule that looks at the whole firewall mark and at nothing else, and leads to a table. */
export interface RuleNotice {
  readonly kind: "rule";
  readonly mark: number;
  readonly table: number;
  readonly priority: number;
  readonly protocol: number;
  readonly present: boolean;
}

/** The high bits of an attribute's type are flags (nested, byte order). */
export const NLA_TYPE_MASK = 0x3fff;

const AF_UNSPEC = 0;
const AF_INET = 2;

const IFINFOMSG = 16;
const IFLA_IFNAME = 3;
/** Longest name and its NUL. */
const IFNAMSIZ = 16;

const IFADDRMSG = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

const FIB_RULE_HDR = 12;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_IFGROUP = 13;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_PAD = 18;
const FRA_PROTOCOL = 21;
const FR_ACT_TO_TBL = 1;
const FIB_RULE_INVERT = 0x02;
const NONE = 0xffffffff;

const text = new TextDecoder();

/** Where the next attribute begins after one of this length. */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** Takes an attribute's value; answers false when it cannot be one. */
type Visit = (type: number, value: number, length: number) => boolean;

/** Visits all attributes; false when one is malformed or was found to be so. */
function eachAttribute(view: DataView, at: number, end: number, visit: Visit): boolean {
  while (at < end) {
    const length = end - at < 4 ? 0 : view.getUint16(at, true);
    if (length < 4 || length > end - at) return false;
    if (!visit(view.getUint16(at + 2, true) & NLA_TYPE_MASK, at + 4, length - 4)) return false;
    at += aligned(length);
  }
  return true;
}

/** Reads what follows the header of RTM_NEWLINK or RTM_DELLINK. */
export function readLink(
  view: DataView,
  at: number,
  end: number,
  present: boolean,
): LinkNotice | Nothing {
  if (end - at < IFINFOMSG) return "unreadable";
  // Of a family's own: that a link left a bridge is told as a deletion in the family AF_BRIDGE.
  if (view.getUint8(at) !== AF_UNSPEC) return "ignored";
  const ifindex = view.getInt32(at + 4, true);
  const flags = view.getUint32(at + 8, true);
  let name = "";
  const whole = eachAttribute(view, at + IFINFOMSG, end, (type, value, length) => {
    if (type !== IFLA_IFNAME) return true;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + value, length);
    if (length > IFNAMSIZ || bytes.indexOf(0) !== length - 1) return false;
    name = text.decode(bytes.subarray(0, length - 1));
    return true;
  });
  if (!whole || name === "" || ifindex <= 0) return "unreadable";
  return { kind: "link", ifindex, name, present, flags };
}

/** Reads what follows the header of RTM_NEWADDR or RTM_DELADDR. */
export function readAddress(
  view: DataView,
  at: number,
  end: number,
  present: boolean,
): AddressNotice | Nothing {
  if (end - at < IFADDRMSG) return "unreadable";
  if (view.getUint8(at) !== AF_INET) return "ignored";
  const prefixLength = view.getUint8(at + 1);
  const ifindex = view.getUint32(at + 4, true);
  let address: number | null = null;
  let local: number | null = null;
  const whole = eachAttribute(view, at + IFADDRMSG, end, (type, value, length) => {
    if (type !== IFA_ADDRESS && type !== IFA_LOCAL) return true;
    if (length !== 4) return false;
    // The address is the far end's on a point-to-point link, and the local one elsewhere.
    if (type === IFA_LOCAL) local = view.getUint32(value);
    else address = view.getUint32(value);
    return true;
  });
  const own = local ?? address;
  if (!whole || own === null || prefixLength > 32 || ifindex === 0) return "unreadable";
  return { kind: "address", ifindex, address: formatAddress(own), prefixLength, present };
}

/** Reads what follows the header of RTM_NEWRULE or RTM_DELRULE. */
export function readRule(
  view: DataView,
  at: number,
  end: number,
  present: boolean,
): RuleNotice | Nothing {
  if (end - at < FIB_RULE_HDR) return "unreadable";
  if (view.getUint8(at) !== AF_INET) return "ignored";
  const narrowed = view.getUint8(at + 1) + view.getUint8(at + 2) + view.getUint8(at + 3) > 0;
  const action = view.getUint8(at + 7);
  const inverted = (view.getUint32(at + 8, true) & FIB_RULE_INVERT) !== 0;
  let table = view.getUint8(at + 4);
  let mark = 0;
  let priority = 0;
  let protocol = 0;
  let simple = !narrowed && !inverted && action === FR_ACT_TO_TBL;
  const whole = eachAttribute(view, at + FIB_RULE_HDR, end, (type, value, length) => {
    if (length !== lengthInRule(type, length)) return false;
    if (type === FRA_FWMARK) mark = view.getUint32(value, true);
    else if (type === FRA_TABLE) table = view.getUint32(value, true);
    else if (type === FRA_PRIORITY) priority = view.getUint32(value, true);
    else if (type === FRA_PROTOCOL) protocol = view.getUint8(value);
    else if (type === FRA_FWMASK || isSuppressor(type)) {
      simple &&= view.getUint32(value, true) === NONE;
    } else if (type !== FRA_PAD) simple = false;
    return true;
  });
  if (!whole) return "unreadable";
  if (!simple || mark === 0) return "ignored";
  return { kind: "rule", mark, table, priority, protocol, present };
}

/** How long the value of an attribute that we read is; any length will do for the others. */
function lengthInRule(type: number, length: number): number {
  switch (type) {
    case FRA_FWMARK:
    case FRA_FWMASK:
    case FRA_TABLE:
    case FRA_PRIORITY:
    case FRA_SUPPRESS_IFGROUP:
    case FRA_SUPPRESS_PREFIXLEN:
      return 4;
    case FRA_PROTOCOL:
      return 1;
    default:
      return length;
  }
}

/** What makes a rule not apply to some of the routes that it leads to. */
function isSuppressor(type: number): boolean {
  return type === FRA_SUPPRESS_IFGROUP || type === FRA_SUPPRESS_PREFIXLEN;
}
