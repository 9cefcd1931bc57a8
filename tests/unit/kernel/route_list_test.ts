import { assertEquals, assertThrows } from "@std/assert";
import type { KernelRoute } from "../../../src/kernel/route.ts";
import { RouteList } from "../../../src/kernel/route_list.ts";

const plain: KernelRoute = {
  table: 254,
  dst: "10.1.0.1/32",
  via: "10.9.0.2",
  src: "10.9.0.1",
  ifindex: 3,
  protocol: 186,
  metric: 0,
};

Deno.test("routes come out of a list as they went in, whatever their numbers", () => {
  const routes: KernelRoute[] = [
    plain,
    { ...plain, dst: "0.0.0.0/0", via: null, src: null },
    { ...plain, via: "0.0.0.0", src: null },
    { ...plain, via: null, src: "0.0.0.0" },
    { ...plain, dst: "255.255.255.255/32", via: "200.0.0.1", src: "128.0.0.0" },
    { ...plain, table: 4294967295, metric: 4294967295, ifindex: 4294967295, protocol: 255 },
    { ...plain, table: 2147483648, protocol: 0 },
  ];
  assertEquals([...RouteList.of(routes)], routes);
  assertEquals(RouteList.of([]).length, 0);
});

Deno.test("a list grows to any length and keeps what it has", () => {
  const routes = Array.from({ length: 5_000 }, (_, i) => ({
    ...plain,
    dst: `10.${i >> 8}.${i & 255}.0/24`,
    metric: i,
  }));
  const list = RouteList.of(routes);
  assertEquals([list.length, [...list]], [5_000, routes]);
  let [sum, met] = [0, 0];
  for (const { metric } of list.fields()) {
    sum += metric;
    met++;
  }
  assertEquals([sum, met], [5_000 * 4_999 / 2, 5_000]);
});

Deno.test("what is no route is not taken into a list", () => {
  for (const wrong of [{ dst: "10.1.0.1" }, { dst: "10.1.0.1/24" }, { via: "" }, { src: "1" }]) {
    assertThrows(() => RouteList.of([{ ...plain, ...wrong }]), RangeError);
  }
});
