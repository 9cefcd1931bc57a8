import { assertEquals, assertMatch } from "@std/assert";
import plugin from "../../../scripts/import_rule.ts";

const root = new URL("../../..", import.meta.url).pathname;

/** The objections to `source` as if it lay at `path`, as `rule: message`. */
function objections(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, root + path, source)
    .map((diagnostic) => `${diagnostic.id.replace("livenessd/", "")}: ${diagnostic.message}`);
}

Deno.test("an import that runs uphill is refused, in each of its forms", () => {
  const uphill = ["rooms: protocol/ must not import src/manager/manager.ts: that is uphill"];
  for (
    const source of [
      'import { Manager } from "../manager/manager.ts";',
      'import type { Manager } from "../manager/manager.ts";',
      'export { Manager } from "../manager/manager.ts";',
      'export * from "../manager/manager.ts";',
      'const { Manager } = await import("../manager/manager.ts");',
    ]
  ) {
    assertEquals(objections("src/protocol/session.ts", source), uphill, source);
  }
});

Deno.test("a room imports itself, what lies below it, and packages", () => {
  const source = [
    'import { a } from "./policy.ts";',
    'import { b } from "../protocol/session.ts";',
    'import { c } from "../scheduler/loop.ts";',
    'import { d } from "../std/colors.ts";',
    'import { e } from "valibot";',
    'import type { f } from "../config/config.ts";',
  ].join("\n");
  assertEquals(objections("src/manager/manager.ts", source), []);
});

Deno.test("a room known by interface is not imported by implementation", () => {
  const path = "src/manager/manager.ts";
  assertEquals(objections(path, 'import { routeIdentity } from "../kernel/route.ts";'), []);
  const [refusal] = objections(path, 'import type { X } from "../kernel/netlink_kernel.ts";');
  assertMatch(
    refusal,
    /^rooms: manager\/ knows kernel\/ by its interface only .* not src\/kernel\/netlink_kernel.ts$/,
  );
});

Deno.test("a room that may see types only must say import type", () => {
  const path = "src/observe/metrics.ts";
  assertEquals(objections(path, 'import type { Kernel } from "../kernel/kernel.ts";'), []);
  assertEquals(objections(path, 'import { type Kernel } from "../kernel/kernel.ts";'), [
    'rooms: observe/ may import only types of src/kernel/kernel.ts: write "import type"',
  ]);
});

Deno.test("ffi imports nothing of ours, not even the vocabulary", () => {
  assertEquals(
    objections("ffi/libnl.ts", 'import type { Config } from "../src/config/config.ts";'),
    [
      "rooms: ffi/ must not import src/config/config.ts: that is uphill",
    ],
  );
});

Deno.test("tests and the command line import everything", () => {
  const source = 'import { Manager } from "../manager/manager.ts"; await import(Deno.args[0]);';
  assertEquals(objections("src/cli/run.ts", source), []);
  assertEquals(objections("tests/unit/manager/manager_test.ts", source), []);
});

Deno.test("time, randomness and sockets stay behind the seams", () => {
  const source = [
    "setTimeout(() => performance.now(), 5);",
    "// Date.now() in a comment is no offence",
    "const at = Date.now() + Math.random();",
    "const today = new Date();",
    "const then = new Date(at);",
    "Deno.listenDatagram({ port: 0, transport: 'udp' });",
  ].join("\n");
  const offences = [
    "setTimeout",
    "performance.now",
    "Date.now",
    "Math.random",
    "new Date",
    "Deno.listenDatagram",
  ];
  const expected = offences.map((name) =>
    `seams: ${name} belongs behind a seam (Clock, Random, Transport)`
  );
  for (const path of ["src/manager/manager.ts", "tests/simulation/world.ts"]) {
    assertEquals(objections(path, source).toSorted(), expected.toSorted(), path);
  }
  assertEquals(objections("tests/system/daemon_test.ts", source), []);
  assertEquals(
    objections("src/scheduler/system_clock.ts", "setTimeout(f, performance.now());"),
    [],
  );
});

Deno.test("native memory is touched in ffi alone", () => {
  const source = "Deno.UnsafePointer.of(x); Deno.dlopen('libc.so.6', {});";
  assertEquals(objections("ffi/libc.ts", source), []);
  assertEquals(objections("src/transport/udp.ts", source), [
    "memory: Deno.UnsafePointer: only ffi/ touches native memory",
    "memory: Deno.dlopen: only ffi/ touches native memory",
  ]);
});

Deno.test("deno.json loads the rules, so that deno lint applies them", async () => {
  const config = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  assertEquals(config.lint.plugins, ["./scripts/import_rule.ts"]);
});
