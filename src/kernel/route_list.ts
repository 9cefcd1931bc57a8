/**
 * The routes that the kernel lists, as rows of numbers in one array.
 *
 * A sweep goes through thousands of them, several times a minute: as objects with strings they would be
 * garbage that holds the loop up when it is collected. Whoever wants an object asks for one.
 */

import { type KernelRoute, kernelRoute, RouteFields, routeFields } from "./route.ts";

/** What is in a row. */
const TABLE = 0;
const DST = 1;
const VIA = 2;
const SRC = 3;
const IFINDEX = 4;
const METRIC = 5;
/** Prefix length, protocol and what there is: 8 bits each. */
const REST = 6;
const WIDTH = 7;

const HAS_VIA = 1 << 16;
const HAS_SRC = 1 << 17;

/** Rows in the beginning; it grows by doubling. */
const FIRST_ROWS = 512;

export class RouteList implements Iterable<KernelRoute> {
  /** Routes in it. */
  length = 0;
  #words = new Int32Array(FIRST_ROWS * WIDTH);

  /**
   * A list of these routes.
   *
   * @throws {RangeError} when one is none
   */
  static of(routes: Iterable<KernelRoute>): RouteList {
    const list = new RouteList();
    for (const route of routes) {
      const fields = routeFields(route);
      if (fields === null) throw new RangeError(`no route: ${JSON.stringify(route)}`);
      list.add(fields);
    }
    return list;
  }

  add(route: RouteFields): void {
    const at = this.length * WIDTH;
    if (at === this.#words.length) this.#grow();
    const words = this.#words;
    words[at + TABLE] = route.table;
    words[at + DST] = route.dst;
    words[at + VIA] = route.via;
    words[at + SRC] = route.src;
    words[at + IFINDEX] = route.ifindex;
    words[at + METRIC] = route.metric;
    words[at + REST] = route.prefixLength | route.protocol << 8 |
      (route.hasVia ? HAS_VIA : 0) | (route.hasSrc ? HAS_SRC : 0);
    this.length++;
  }

  /** The routes in words, an object for each. */
  *[Symbol.iterator](): Generator<KernelRoute, void, void> {
    for (const fields of this.fields()) yield kernelRoute(fields);
  }

  /** The routes by their numbers, one after the other in one object. */
  *fields(): Generator<Readonly<RouteFields>, void, void> {
    const fields = new RouteFields();
    for (let row = 0; row < this.length; row++) {
      this.#read(row * WIDTH, fields);
      yield fields;
    }
  }

  #read(at: number, fields: RouteFields): void {
    const words = this.#words;
    const rest = words[at + REST]!;
    fields.table = words[at + TABLE]!;
    fields.dst = words[at + DST]!;
    fields.prefixLength = rest & 255;
    fields.via = words[at + VIA]!;
    fields.hasVia = (rest & HAS_VIA) !== 0;
    fields.src = words[at + SRC]!;
    fields.hasSrc = (rest & HAS_SRC) !== 0;
    fields.ifindex = words[at + IFINDEX]!;
    fields.protocol = rest >> 8 & 255;
    fields.metric = words[at + METRIC]!;
  }

  #grow(): void {
    const words = new Int32Array(2 * this.#words.length);
    words.set(this.#words);
    this.#words = words;
  }
}
