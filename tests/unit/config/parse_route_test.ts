import { assert, assertEquals } from "@std/assert";
import { BUILTIN_NAMES as names } from "../../../src/config/iproute2_names.ts";
import { parseRoute } from "../../../src/config/parse_route.ts";
import { formatProblem } from "../../../src/config/problem.ts";

const ROUTE = { dst: "10.1.0.1", via: "10.0.0.2", dev: "tun0", src: "10.0.0.1" };

Deno.test("a route by the API is what an entry of the file is", () => {
  assertEquals(parseRoute({ ...ROUTE, table: "default" }, { names }), {
    ok: true,
    route: { ...ROUTE, dst: "10.1.0.1/32", table: 253, probe: "10.1.0.1", noUninstall: false },
  });
});

Deno.test("its problems are reported together, without a file", () => {
  const given = { ...ROUTE, via: "10.0.0.1", dve: "x", table: 44880, src: "10.0.0.1" };
  const result = parseRoute(given, { names, bind: "10.9.9.9", probeTable: 44880 });
  assert(!result.ok);
  assertEquals(result.problems.map(({ key }) => key).sort(), ["dve", "src", "table", "via"]);
  assertEquals(result.problems[0]?.file, "request");
});

Deno.test("what is no object is refused", () => {
  for (const value of [null, 5, "x", [ROUTE], undefined]) {
    const result = parseRoute(value, { names, origin: "route add" });
    assert(!result.ok);
    const [first] = result.problems;
    assert(first !== undefined && formatProblem(first).endsWith("expected a JSON object"));
  }
});
