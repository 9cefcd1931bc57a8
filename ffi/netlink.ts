/**
 * Netlink through libnl, without a pointer in sight: request messages that libnl-route builds, written
 * into buffers of the caller's. netlink_socket.ts sends them.
 *
 * Everything here is bytes and numbers; what they mean is the kernel room's business.
 */

import { type Libnl, openLibnl } from "./libnl.ts";
import { RequestTemplate, type Verb } from "./request_template.ts";

const AF_INET = 2;

const NLM_F_REQUEST = 0x01;
const NLM_F_ACK = 0x04;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const NLM_F_DUMP = 0x300;
const NLMSG_HEADER = 16;

const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTN_UNICAST = 1;
const RTA_TABLE = 15;
const FR_ACT_TO_TBL = 1;

/** Bytes that any one request of ours fits into: headers and at most eight attributes of four bytes. */
export const REQUEST_SIZE = 128;

/** Shapes of route requests that are remembered: interfaces × verbs, and some to spare. */
const TEMPLATES = 32;

/** A failure of libnl itself, before the kernel was asked: its code (negative) and its text. */
export class NetlinkError extends Error {
  override readonly name = "NetlinkError";
  constructor(readonly code: number, what: string) {
    super(`${what}: ${libnlText(code)}`);
  }
}

/** libnl's text for one of its own error codes. */
export function libnlText(code: number): string {
  const text = openLibnl().core.nl_geterror(code);
  return text === null ? `error ${code}` : Deno.UnsafePointerView.getCString(text);
}

const texts = new Map<number, string>();

/** libnl's text for an errno (positive); one that libnl does not tell apart gets its number added. */
export function errnoText(number: number): string {
  let text = texts.get(number);
  if (text === undefined) {
    const code = openLibnl().core.nl_syserr2nlerr(number);
    text = libnlText(code);
    if (code === 1 /* NLE_FAILURE */) text += ` (errno ${number})`;
    texts.set(number, text);
  }
  return text;
}

/** The index of a network interface, or 0 when there is none of that name. */
export function interfaceIndex(name: string): number {
  return openLibnl().core.if_nametoindex(new TextEncoder().encode(`${name}\0`));
}

/** A unicast IPv4 route by its numbers; addresses are in host order. */
export interface RouteNumbers {
  readonly table: number;
  readonly dst: number;
  readonly prefixLength: number;
  readonly via: number;
  /** `null`: no preferred source. */
  readonly src: number | null;
  /** 0: none given. */
  readonly ifindex: number;
  readonly protocol: number;
  /** 0: the kernel's default for a new route, any for a delete. */
  readonly metric: number;
}

/** A rule by its numbers. */
export interface RuleNumbers {
  readonly mark: number;
  readonly table: number;
  readonly priority: number;
  readonly protocol: number;
}

/**
 * Writes requests, built by libnl-route, into a buffer: each with NLM_F_ACK and the sequence number
 * given. Every method answers the size written, a multiple of 4 and at most {@linkcode REQUEST_SIZE},
 * or throws {@linkcode NetlinkError} when libnl cannot build the message.
 *
 * Of route requests that differ in nothing but addresses libnl builds the first, and the others are
 * made of it: a call into the library is dear while the code around it is still cold.
 */
export class RequestWriter {
  readonly #lib: Libnl = openLibnl();
  readonly #templates: RequestTemplate[] = [];
  /** `struct nl_msg *`, where libnl's builders leave their result. */
  readonly #result = new BigUint64Array(1);
  readonly #resultBytes = new Uint8Array(this.#result.buffer);
  /** Route requests that libnl built. */
  built = 0;

  /** Create the route, or replace the one of the same table, prefix and metric. */
  replaceRoute(route: RouteNumbers, sequence: number, into: Uint8Array, at: number): number {
    return this.#writeRoute("replace", route, sequence, into, at);
  }

  /** Delete the first route that has all that is given. */
  deleteRoute(route: RouteNumbers, sequence: number, into: Uint8Array, at: number): number {
    return this.#writeRoute("delete", route, sequence, into, at);
  }

  /** Add the rule unless it is there. */
  addRule(rule: RuleNumbers, sequence: number, into: Uint8Array, at: number): number {
    const code = this.#withRule(
      rule,
      (built) => this.#lib.route.rtnl_rule_build_add_request(built, NLM_F_EXCL, this.#resultBytes),
    );
    return this.#write(code, sequence, into, at);
  }

  /** Delete the first rule that has all that is given. */
  deleteRule(rule: RuleNumbers, sequence: number, into: Uint8Array, at: number): number {
    const code = this.#withRule(
      rule,
      (built) => this.#lib.route.rtnl_rule_build_delete_request(built, 0, this.#resultBytes),
    );
    return this.#write(code, sequence, into, at);
  }

  /** List IPv4 unicast routes; 0 means any table, any protocol. */
  dumpRoutes(filter: { table: number; protocol: number }, sequence: number, into: Uint8Array) {
    const { core } = this.#lib;
    const message = allocated(core.nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_DUMP));
    const header = new Uint8Array(12); // struct rtmsg
    header[0] = AF_INET;
    header[5] = filter.protocol;
    header[7] = RTN_UNICAST;
    let code = core.nlmsg_append(message, header, 12n, 4);
    if (code >= 0 && filter.table > 0) code = core.nla_put_u32(message, RTA_TABLE, filter.table);
    return this.#take(message, code, sequence, into, 0);
  }

  /**
   * A delete request that names nothing: the kernel answers EINVAL to those who may change routes and
   * EPERM to those who may not. It changes nothing either way.
   */
  probe(sequence: number, into: Uint8Array): number {
    const { core } = this.#lib;
    const message = allocated(core.nlmsg_alloc_simple(RTM_DELROUTE, 0));
    // Long enough for the kernel to look at it (struct rtgenmsg), too short for a route.
    const code = core.nlmsg_append(message, new Uint8Array([AF_INET]), 1n, 4);
    return this.#take(message, code, sequence, into, 0);
  }

  #writeRoute(
    verb: Verb,
    route: RouteNumbers,
    sequence: number,
    into: Uint8Array,
    at: number,
  ): number {
    for (const template of this.#templates) {
      if (template.fits(verb, route)) return template.write(route, sequence, into, at);
    }
    const size = this.#write(this.#buildRoute(verb, route), sequence, into, at);
    const template = RequestTemplate.of(verb, route, into.subarray(at, at + size));
    if (template !== null && this.#templates.unshift(template) > TEMPLATES) this.#templates.pop();
    this.built++;
    return size;
  }

  #buildRoute(verb: Verb, numbers: RouteNumbers): number {
    const { core, route } = this.#lib;
    const bytes = new Uint8Array(4);
    const withAddress = (value: number, use: (address: Deno.PointerObject) => void) => {
      new DataView(bytes.buffer).setUint32(0, value);
      const address = allocated(core.nl_addr_build(AF_INET, bytes, 4n));
      use(address); // The user takes a reference of its own.
      core.nl_addr_put(address);
    };
    const built = allocated(route.rtnl_route_alloc());
    const nexthop = allocated(route.rtnl_route_nh_alloc());
    withAddress(numbers.dst, (dst) => {
      core.nl_addr_set_prefixlen(dst, numbers.prefixLength);
      route.rtnl_route_set_dst(built, dst);
    });
    withAddress(numbers.via, (via) => route.rtnl_route_nh_set_gateway(nexthop, via));
    if (numbers.src !== null) {
      withAddress(numbers.src, (src) => route.rtnl_route_set_pref_src(built, src));
    }
    route.rtnl_route_nh_set_ifindex(nexthop, numbers.ifindex);
    route.rtnl_route_add_nexthop(built, nexthop); // The route owns it from here on.
    route.rtnl_route_set_table(built, numbers.table);
    route.rtnl_route_set_protocol(built, numbers.protocol);
    route.rtnl_route_set_priority(built, numbers.metric);
    const code = verb === "replace"
      ? route.rtnl_route_build_add_request(
        built,
        NLM_F_CREATE | NLM_F_REPLACE,
        this.#resultBytes,
      )
      : route.rtnl_route_build_del_request(built, 0, this.#resultBytes);
    route.rtnl_route_put(built);
    return code;
  }

  #withRule(rule: RuleNumbers, build: (built: Deno.PointerValue) => number): number {
    const { route } = this.#lib;
    const built = allocated(route.rtnl_rule_alloc());
    route.rtnl_rule_set_family(built, AF_INET);
    route.rtnl_rule_set_action(built, FR_ACT_TO_TBL);
    route.rtnl_rule_set_prio(built, rule.priority);
    route.rtnl_rule_set_mark(built, rule.mark);
    route.rtnl_rule_set_table(built, rule.table);
    route.rtnl_rule_set_protocol(built, rule.protocol);
    const code = build(built);
    route.rtnl_rule_put(built);
    return code;
  }

  #write(code: number, sequence: number, into: Uint8Array, at: number): number {
    if (code < 0) throw new NetlinkError(code, "cannot build the request");
    return this.#take(Deno.UnsafePointer.create(this.#result[0]), 0, sequence, into, at);
  }

  /** Copies the message out of libnl's memory, frees it there, and completes its header. */
  #take(
    message: Deno.PointerValue,
    code: number,
    sequence: number,
    into: Uint8Array,
    at: number,
  ): number {
    const { core } = this.#lib;
    try {
      if (code < 0) throw new NetlinkError(code, "cannot build the request");
      const native = new Deno.UnsafePointerView(allocated(core.nlmsg_hdr(message)));
      const size = (native.getUint32() + 3) & ~3;
      native.copyInto(into.subarray(at, at + size));
      const header = new DataView(into.buffer, into.byteOffset + at, NLMSG_HEADER);
      header.setUint16(6, header.getUint16(6, true) | NLM_F_REQUEST | NLM_F_ACK, true);
      header.setUint32(8, sequence, true);
      return size;
    } finally {
      core.nlmsg_free(message);
    }
  }
}

/** libnl answers NULL for one reason only: no memory. */
export function allocated(pointer: Deno.PointerValue): Deno.PointerObject {
  if (pointer === null) throw new NetlinkError(-5, /* NLE_NOMEM */ "libnl");
  return pointer;
}
