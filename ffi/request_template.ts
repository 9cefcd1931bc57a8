/**
 * Requests as patterns: what libnl built once serves every request of the same shape, with the sequence
 * number and the addresses written over. Pure bytes; netlink.ts has them built.
 *
 * ```
 *   nlmsghdr 16 bytes | rtmsg 12 bytes | rtattr: len u16, type u16, value | rtattr …
 *        └ sequence at 8                 └ RTA_DST, RTA_GATEWAY, RTA_PREFSRC: addresses
 * ```
 */

import type { RouteNumbers } from "./netlink.ts";

/** What is asked for. */
export type Verb = "replace" | "delete";

const SEQUENCE = 8;
const ATTRIBUTES = 16 + 12;
const RTA_DST = 1;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;

/** One built request, and where in it the addresses are. */
export class RequestTemplate {
  readonly #verb: Verb;
  readonly #shape: RouteNumbers;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #dst: number;
  readonly #via: number;
  readonly #src: number;

  private constructor(verb: Verb, route: RouteNumbers, bytes: Uint8Array, offsets: number[]) {
    this.#verb = verb;
    this.#shape = route;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    [this.#dst, this.#via, this.#src] = offsets;
  }

  /**
   * Makes a template of a copy of `built`, the request for `route`. `null` when one of the route's
   * addresses is not where it is looked for: then every such request has to be built.
   */
  static of(verb: Verb, route: RouteNumbers, built: Uint8Array): RequestTemplate | null {
    const bytes = built.slice();
    const dst = offsetOf(RTA_DST, route.dst, bytes);
    const via = offsetOf(RTA_GATEWAY, route.via, bytes);
    const src = route.src === null ? 0 : offsetOf(RTA_PREFSRC, route.src, bytes);
    if (dst < 0 || via < 0 || src < 0) return null;
    return new RequestTemplate(verb, route, bytes, [dst, via, src]);
  }

  /** Whether the request for this route differs in nothing but the addresses. */
  fits(verb: Verb, route: RouteNumbers): boolean {
    const shape = this.#shape;
    return shape.ifindex === route.ifindex && shape.table === route.table &&
      shape.metric === route.metric && shape.prefixLength === route.prefixLength &&
      shape.protocol === route.protocol && (shape.src === null) === (route.src === null) &&
      this.#verb === verb;
  }

  /** Writes the request for a route that {@linkcode fits}; answers its size. */
  write(route: RouteNumbers, sequence: number, into: Uint8Array, at: number): number {
    const view = this.#view;
    view.setUint32(SEQUENCE, sequence, true);
    view.setUint32(this.#dst, route.dst);
    view.setUint32(this.#via, route.via);
    if (route.src !== null) view.setUint32(this.#src, route.src);
    into.set(this.#bytes, at);
    return view.byteLength;
  }
}

/** Where the address is that the attribute of this type has; -1 when there is no such attribute. */
function offsetOf(type: number, address: number, message: Uint8Array): number {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  for (let at = ATTRIBUTES; at + 8 <= view.byteLength;) {
    const length = view.getUint16(at, true);
    if (length < 4) break;
    if (length === 8 && view.getUint16(at + 2, true) === type) {
      return view.getUint32(at + 4) === address ? at + 4 : -1;
    }
    at += (length + 3) & ~3;
  }
  return -1;
}
