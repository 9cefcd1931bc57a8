import { assertEquals } from "@std/assert";
import { accepted, refused, route, routes, warned } from "./support.ts";

/** The one problem of a file, without its place. */
function problem(text: string): string {
  const problems = refused(text);
  assertEquals(problems.length, 1, problems.join("\n"));
  return problems[0]!.replace("t.yaml:", "");
}

Deno.test("ceiling and backoff are at least the floor, also where one is a default", () => {
  assertEquals(
    problem("liveness: {min_tx_floor: 1s, max_tx_ceil: 999ms}"),
    '1:30: liveness.max_tx_ceil: got "999ms", expected at least liveness.min_tx_floor (1s)',
  );
  assertEquals(
    problem("liveness: {backoff_max: 49ms}"),
    '1:12: liveness.backoff_max: got "49ms", expected at least liveness.min_tx_floor (50ms)',
  );
  assertEquals(
    problem("liveness: {min_tx_floor: 5s}"),
    "1:1: liveness.max_tx_ceil: got 3s, the default, expected at least liveness.min_tx_floor (5s)",
  );
  accepted("liveness: {min_tx_floor: 3s, backoff_max: 3s}");
});

Deno.test("an interval that will be clamped is a warning", () => {
  assertEquals(warned("liveness: {tx_min: 10ms, rx_min: 5s}"), [
    't.yaml:1:12: liveness.tx_min: got "10ms", expected 50ms to 3s (liveness.min_tx_floor to max_tx_ceil) ' +
    "(50ms will be used)",
    't.yaml:1:26: liveness.rx_min: got "5s", expected 50ms to 3s (liveness.min_tx_floor to max_tx_ceil) ' +
    "(3s will be used)",
  ]);
  assertEquals(warned("liveness: {tx_min: 50ms, rx_min: 3s}"), []);
});

Deno.test("a prefix wider than a host needs a probe", () => {
  assertEquals(
    problem(routes(route({ dst: "10.1.0.0/31" }))),
    "2:5: routes[0].probe: got nothing, expected an address to probe, because 10.1.0.0/31 is more than one host",
  );
  accepted(routes(route({ dst: "10.1.0.0/31", probe: "10.1.0.1" })));
});

/** Parts of a route that no route can have, and the remark. */
const SENSELESS: [Record<string, string>, string][] = [
  [{ via: "0.0.0.0" }, "it is in 0.0.0.0/8, no host's address"],
  [{ via: "127.0.0.1" }, "it is a loopback address, which leaves no interface"],
  [{ via: "224.0.0.5" }, "it is a multicast address"],
  [{ via: "255.255.255.255" }, "it is the broadcast address"],
  [{ src: "127.0.0.1" }, "it is a loopback address, which leaves no interface"],
  [{ probe: "239.1.1.1" }, "it is a multicast address"],
  [{ dst: "224.0.0.0/4", probe: "10.1.0.1" }, "it is multicast"],
  [{ dst: "127.0.0.0/8", probe: "10.1.0.1" }, "it is loopback"],
  [{ dst: "0.0.0.0/8", probe: "10.1.0.1" }, "it is in 0.0.0.0/8"],
  [{ dst: "255.255.255.255" }, "it is the broadcast address"],
  [
    { dst: "10.1.0.1/31", probe: "10.1.0.1" },
    "it has bits set behind its length; did you mean 10.1.0.0/31?",
  ],
  [{ dev: "sixteen-bytes-xx" }, "it has 16 bytes"],
];

Deno.test("addresses that no host or route can have are refused with the reason", () => {
  for (const [changes, remark] of SENSELESS) {
    const [key = ""] = Object.keys(changes);
    const text = problem(routes(route(changes)));
    assertEquals([text.includes(`routes[0].${key}: got`), text.endsWith(`(${remark})`)], [
      true,
      true,
    ], text);
  }
});

Deno.test("addresses that look odd but are in use are accepted", () => {
  const odd = { via: "169.254.0.1", src: "169.254.0.0", dst: "128.0.0.0/1", probe: "198.51.100.1" };
  assertEquals(accepted(routes(route(odd))).routes.length, 1);
  accepted(routes(route({ dst: "0.0.0.0/1", probe: "100.64.0.1", dev: '"0"' })));
});

Deno.test("interface names are what the kernel allows", () => {
  for (const dev of ['"a b"', "a/b", '"a:b"', '"."', '".."', '""', '"a\\tb"', '"ünïcödé-ethern"']) {
    const [text = ""] = refused(routes(route({ dev })));
    assertEquals(text.includes("routes[0].dev: got"), true, text);
  }
  for (const dev of ["eth0.100", "fifteen-bytes-x", "wg_0", "br-1@x"]) {
    accepted(routes(route({ dev })));
  }
});

Deno.test("our own address is neither next hop, probe nor destination", () => {
  assertEquals(
    problem(routes(route({ via: "10.0.0.1" }))),
    `2:24: routes[0].via: got "10.0.0.1", expected the peer's end of the link, not src (10.0.0.1)`,
  );
  assertEquals(
    problem(routes(route({ probe: "10.0.0.1" }))),
    '2:65: routes[0].probe: got "10.0.0.1", expected an address of the peer, not src (10.0.0.1)',
  );
  assertEquals(
    problem(routes(route({ dst: "10.0.0.1" }))),
    '2:6: routes[0].dst: got "10.0.0.1", expected a destination other than src (10.0.0.1), which is this host',
  );
});

Deno.test("with a bind address all sessions are bound to it", () => {
  const text = `liveness: {bind: 10.0.0.9}\n${
    routes(route(), route({ src: "10.0.0.9", dst: "10.2.0.2" }))
  }`;
  assertEquals(
    problem(text),
    '3:50: routes[0].src: got "10.0.0.1", expected liveness.bind (10.0.0.9), the only address sessions may use',
  );
});

Deno.test("routes keep out of the local table and of the probes' table", () => {
  assertEquals(
    problem(routes(route({ table: "local" }))),
    '2:65: routes[0].table: got "local", expected a table for unicast routes, such as main',
  );
  assertEquals(
    problem(`probe_path: {table: 100}\n${routes(route({ table: 100 }))}`),
    "3:65: routes[0].table: got 100, expected a table other than probe_path.table (100) " +
      "(that one holds the probe routes alone)",
  );
});

Deno.test("the same route twice is refused, naming the first", () => {
  assertEquals(
    problem(routes(route(), route({ dst: "10.2.0.2" }), route({ no_uninstall: "true" }))),
    "4:5: routes[2]: got the same route to 10.1.0.1/32 in table 254, expected one route for a prefix and table " +
      "(the first is routes[0], line 2)",
  );
});

Deno.test("two different routes for one prefix and table are refused; in two tables they are fine", () => {
  const other = { dev: "tun1", src: "10.0.1.1", via: "10.0.1.2" };
  assertEquals(
    problem(routes(route(), route(other))),
    "3:5: routes[1]: got another route to 10.1.0.1/32 in table 254, expected one route for a prefix and table " +
      "(the first is routes[0], line 2)",
  );
  accepted(routes(route(), route({ ...other, table: 100 })));
  accepted(routes(route({ dst: "10.1.0.0/16", probe: "10.1.0.1" }), route()));
});

Deno.test("one address on a link is probed through one next hop", () => {
  const wide = { dst: "10.0.0.0/8", probe: "10.1.0.1" };
  assertEquals(
    problem(routes(route(), route({ ...wide, via: "10.0.0.3" }))),
    "3:23: routes[1].via: got next hop 10.0.0.3, expected 10.0.0.2, through which 10.1.0.1 on tun0 is probed " +
      "(by routes[0], line 2; give one of the two another probe)",
  );
  accepted(routes(route(), route(wide)));
  accepted(routes(route(), route({ ...wide, via: "10.0.0.3", dev: "tun1" })));
});

Deno.test("checks between settings go on where single settings are wrong", () => {
  const text = routes(
    route({ dev: "a/b" }),
    route({ dst: "10.1.0.0/16" }),
    route({ via: "x", table: 44880 }),
  );
  assertEquals(refused(text).map((line) => line.split(": ")[1]), [
    "routes[0].dev",
    "routes[1].probe",
    "routes[2].via",
    "routes[2].table",
  ]);
});
