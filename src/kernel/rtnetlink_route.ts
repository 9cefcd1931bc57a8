/**
 * Reads the bodies of rtnetlink's messages of routes into numbers, with the care that rtnetlink.ts
 * describes. A list of routes has thousands of them: nothing is made for one.
 *
 * ```
 *   rtmsg   family | dst_len | src_len | tos | table | protocol | scope | type   u8 each | flags u32
 * ```
 */

import { hasHostBits } from "./ipv4.ts";
import { RouteFields } from "./route.ts";
import { aligned, NLA_TYPE_MASK, type Nothing } from "./rtnetlink_notice.ts";

/** A message of a route, to be overwritten by the next one. */
export class RouteRecord extends RouteFields {
  seq = 0;
  port = 0;
  interrupted = false;
  deleted = false;
  replaced = false;
  /** Not a blackhole, an unreachable, a prohibit, … route; those have neither next hop nor source here. */
  unicast = false;
}

const RTMSG = 12;

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

/**
 * Reads what follows the header of RTM_NEWROUTE or RTM_DELROUTE. The route in `into` is one only when
 * `null` is answered.
 */
export function readRoute(
  view: DataView,
  at: number,
  end: number,
  into: RouteRecord,
): Nothing | null {
  if (end - at < RTMSG) return "unreadable";
  if (view.getUint8(at) !== AF_INET) return "ignored";
  const prefixLength = view.getUint8(at + 1);
  const tos = view.getUint8(at + 3);
  const cloned = (view.getUint32(at + 8, true) & RTM_F_CLONED) !== 0;
  const unicast = view.getUint8(at + 7) === RTN_UNICAST;
  if (prefixLength > 32) return "unreadable";

  into.table = view.getUint8(at + 4);
  into.dst = 0;
  into.prefixLength = prefixLength;
  into.ifindex = 0;
  into.protocol = view.getUint8(at + 5);
  into.metric = 0;
  into.unicast = unicast;
  let hasDst = prefixLength === 0;
  let via = 0;
  let hasVia = false;
  let src = 0;
  let hasSrc = false;
  // Whether there is more to the next hop than one IPv4 gateway says.
  let elaborate = false;

  at += RTMSG;
  while (at < end) {
    const length = end - at < 4 ? 0 : view.getUint16(at, true);
    if (length < 4 || length > end - at) return "unreadable";
    const value = at + 4;
    const attribute = view.getUint16(at + 2, true) & NLA_TYPE_MASK;
    if (isNumber(attribute) && length !== 8) return "unreadable";
    switch (attribute) {
      case RTA_DST:
        into.dst = view.getInt32(value);
        hasDst = true;
        break;
      case RTA_GATEWAY:
        via = view.getInt32(value);
        hasVia = true;
        break;
      case RTA_PREFSRC:
        src = view.getInt32(value);
        hasSrc = true;
        break;
      case RTA_OIF:
        into.ifindex = view.getInt32(value, true);
        break;
      case RTA_PRIORITY:
        into.metric = view.getInt32(value, true);
        break;
      case RTA_TABLE:
        into.table = view.getInt32(value, true);
        break;
      case RTA_MULTIPATH:
      case RTA_VIA:
      case RTA_ENCAP:
      case RTA_NH_ID:
        elaborate = true;
        break;
    }
    at += aligned(length);
  }
  if (!hasDst || hasHostBits(into.dst, prefixLength) || into.table === 0) return "unreadable";

  into.hasVia = hasVia && !elaborate && unicast;
  into.via = into.hasVia ? via : 0;
  into.hasSrc = hasSrc && unicast;
  into.src = into.hasSrc ? src : 0;
  // A route for one type of service only is another route than the one of the same prefix.
  return tos !== 0 || cloned || into.table === RT_TABLE_LOCAL ? "ignored" : null;
}

/** The attributes that hold 32 bits. */
function isNumber(attribute: number): boolean {
  switch (attribute) {
    case RTA_DST:
    case RTA_GATEWAY:
    case RTA_PREFSRC:
    case RTA_OIF:
    case RTA_PRIORITY:
    case RTA_TABLE:
      return true;
    default:
      return false;
  }
}
