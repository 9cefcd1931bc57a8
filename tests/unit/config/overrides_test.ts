import { assertEquals } from "@std/assert";
import { applyOverrides } from "../../../src/config/overrides.ts";
import { accepted, refused, route, routes } from "./support.ts";

Deno.test("overrides win over the file, later ones over earlier ones", () => {
  const overrides = [
    "mode=active",
    "liveness.port=1",
    "liveness.port=44881",
    "routes[1].via=10.0.0.9",
    "metrics={listen: '127.0.0.1:1', peer_metrics: true}",
    "exclude=[10.1.0.9]",
  ];
  const text = `mode: passive\nroutes:\n${route()}\n${route({ dst: "10.2.0.2" })}\n`;
  const config = accepted(text, { overrides });
  assertEquals([config.mode, config.liveness.port], ["active", 44881]);
  assertEquals(config.routes.map(({ via }) => via), ["10.0.0.2", "10.0.0.9"]);
  assertEquals(config.metrics, { listen: { hostname: "127.0.0.1", port: 1 }, peerMetrics: true });
  assertEquals(config.exclude, ["10.1.0.9"]);
});

Deno.test("a problem of an override names it in place of the file", () => {
  assertEquals(
    refused("mode: active\n", { overrides: ["liveness.port=x", "liveness.max_tx_ceil=1ms"] }),
    [
      '--set liveness.port=x: liveness.port: got "x", expected a whole number from 0 to 65535',
      '--set liveness.max_tx_ceil=1ms: liveness.max_tx_ceil: got "1ms", expected at least liveness.min_tx_floor (50ms)',
    ],
  );
  assertEquals(refused("mode: active\n", { overrides: ["log.level="] }), [
    "--set log.level=: log.level: got nothing, expected debug, info, warn or error",
  ]);
});

Deno.test("a check between file and override shows at the key that it is about", () => {
  assertEquals(
    refused("liveness: {max_tx_ceil: 1s}\n", { overrides: ["liveness.min_tx_floor=2s"] }),
    [
      't.yaml:1:12: liveness.max_tx_ceil: got "1s", expected at least liveness.min_tx_floor (2s)',
    ],
  );
  const overrides = ["routes[1].dst=10.1.0.1"];
  assertEquals(refused(routes(route(), route({ dst: "10.2.0.2" })), { overrides }), [
    "t.yaml:3:5: routes[1]: got the same route to 10.1.0.1/32 in table 254, expected one route for a prefix and " +
    "table (the first is routes[0], line 2)",
  ]);
});

Deno.test("an unknown key of an override is named, with a hint", () => {
  const [problem = ""] = refused("{}", { overrides: ["liveness.prt=1"] });
  assertEquals(
    problem.replace(/one of .* \(/, "one of ... ("),
    '--set liveness.prt=1: liveness.prt: got the unknown key "prt", expected one of ... (did you mean "port"?)',
  );
  const [section = ""] = refused("{}", { overrides: ["livenes.port=1"] });
  assertEquals(
    section.replace(/one of .* \(/, "one of ... ("),
    '--set livenes.port=1: livenes: got the unknown key "livenes", expected one of ... (did you mean "liveness"?)',
  );
});

Deno.test("a malformed override is refused with the right form", () => {
  const form = "key.path=value, such as liveness.port=44881 or routes[0].via=10.0.0.2";
  for (
    const text of ["", "x", "=1", ".a=1", "a.=1", "a..b=1", "a[=1", "a[-1]=1", "[0]=1", "a b=1"]
  ) {
    assertEquals(refused("{}", { overrides: [text] }), [
      `--set: got ${JSON.stringify(text)}, expected ${form}`,
    ]);
  }
});

Deno.test("a value that is no YAML is refused", () => {
  const [problem = ""] = refused("{}", { overrides: ["exclude=[10.0.0.1"] });
  assertEquals(problem.startsWith("--set exclude=[10.0.0.1: not valid YAML: "), true, problem);
});

Deno.test("what has no place in the values is refused and changes nothing", () => {
  const data = { mode: "active", routes: [{}], exclude: null };
  const texts = [
    "mode.x=1",
    "routes[1].via=x",
    "routes.x=1",
    "exclude[0]=x",
    "liveness[0]=x",
    "constructor.x=1",
  ];
  const result = applyOverrides(data, texts);
  assertEquals(result.data, data);
  assertEquals(result.applied, []);
  assertEquals(result.problems.map(({ key, message }) => `${key}: ${message}`), [
    'mode: got "active", expected a mapping, to set x in it',
    "routes[1]: got entry 1, expected an entry of the list, which has 1",
    "routes: got a list of 1, expected a mapping, to set x in it",
    "exclude[0]: got entry 0, expected an entry of the list, which has 0",
    "liveness[0]: got entry 0, expected an entry of the list, which has 0",
    'constructor.x: got the key "constructor", expected a setting',
  ]);
});

Deno.test("overrides leave the given values alone", () => {
  const shared = { via: "a" };
  const data = { routes: [shared, shared] };
  const result = applyOverrides(data, ["routes[0].via=b"]);
  assertEquals(result.data, { routes: [{ via: "b" }, { via: "a" }] });
  assertEquals(data, { routes: [{ via: "a" }, { via: "a" }] });
});
