import { assert, assertEquals } from "@std/assert";
import { BUILTIN_NAMES as names } from "../../../src/config/iproute2_names.ts";
import { jsonSchema } from "../../../src/config/json_schema.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblems } from "../../../src/config/problem.ts";
import { readConfig } from "../../../src/config/read.ts";
import { accepted, OPTIONS } from "./support.ts";

const DOCS = new URL("../../../docs/", import.meta.url).pathname;

/** The parts of a JSON Schema that the tests look at. */
interface Node {
  readonly description?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: boolean;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly pattern?: string;
}

/** Every setting of the JSON Schema by its path, sections included. */
function settings(node: Node, path = ""): [path: string, node: Node][] {
  const inner = node.anyOf?.find((each) => each.properties ?? each.items) ?? node;
  const own = Object.entries(inner.properties ?? {}).flatMap(([key, child]) => {
    const at = path === "" ? key : `${path}.${key}`;
    return [[at, child], ...settings(child, at)] as [string, Node][];
  });
  return inner.items === undefined ? own : [...own, ...settings(inner.items, `${path}[]`)];
}

const SCHEMA: Node & { readonly $schema?: unknown } = jsonSchema();
const SETTINGS = new Map(settings(SCHEMA));

Deno.test("the JSON Schema describes every setting, with its default, and allows no other", () => {
  assertEquals(SCHEMA.$schema, "https://json-schema.org/draft/2020-12/schema");
  assertEquals(SCHEMA.additionalProperties, false);
  for (const [path, node] of SETTINGS) {
    const described = [node, ...(node.anyOf ?? [])].some(({ description }) =>
      (description ?? "") !== ""
    );
    assert(described, `${path} has no description`);
  }
  assertEquals(SETTINGS.get("liveness.port")?.default, 44880);
  assertEquals(SETTINGS.get("kernel.reconcile_interval")?.default, "30s");
  assertEquals(SETTINGS.get("routes[].no_uninstall")?.default, false);
  assertEquals(new RegExp(SETTINGS.get("liveness.tx_min")?.pattern ?? "").test("1m30s"), true);
});

Deno.test("the JSON Schema's defaults are the loader's", () => {
  const leaves = [...SETTINGS].filter(([path, { default: value }]) =>
    value !== undefined && !path.includes("[]")
  );
  const lines = leaves.filter(([path]) => path.includes(".") || path === "mode")
    .map(([path, node]) => `${path}=${JSON.stringify(node.default)}`);
  assert(lines.length >= 20, lines.join(" "));
  assertEquals(accepted("{}", { overrides: lines }), accepted("{}"));
});

Deno.test("the documentation has a row for each setting, with its default", () => {
  const text = Deno.readTextFileSync(`${DOCS}configuration.md`);
  const rows = new Map<string, string>();
  let section = "";
  for (const line of text.split("\n")) {
    section = /^### `(.*)`/.exec(line)?.[1] ?? (line.startsWith("### ") ? "" : section);
    const [, key, byDefault] = /^\| `(\w+)` +\| (.*?) *\|/.exec(line) ?? [];
    if (key !== undefined) rows.set(section === "" ? key : `${section}.${key}`, byDefault ?? "");
  }
  assertEquals([...rows.keys()].sort(), [...SETTINGS.keys()].sort());
  for (const [path, { default: value }] of SETTINGS) {
    if (value === undefined || typeof value === "object") continue;
    assertEquals(rows.get(path), `\`${value}\``, path);
  }
});

Deno.test("the example of the documentation is the example file, and loads without a warning", () => {
  const text = Deno.readTextFileSync(`${DOCS}configuration.md`);
  const example = Deno.readTextFileSync(`${DOCS}examples/livenessd.yaml`);
  assert(text.includes(example.replace(/^#.*\n/, "")), "the example differs");
  const result = loadConfig(example, "livenessd.yaml", OPTIONS);
  assert(result.ok, result.ok ? "" : formatProblems(result.problems));
  assertEquals([result.config.routes.length, result.warnings.length], [2, 0]);
});

Deno.test("the full example has every setting; those with a default have it", () => {
  const path = `${DOCS}examples/full.yaml`;
  const result = readConfig(path, { names, programVersion: "9.9.9" });
  assert(result.ok, result.ok ? "" : formatProblems(result.problems));
  assertEquals(result.warnings, []);
  assertEquals(result.config.exclude, ["10.1.0.9", "10.1.0.10"]);
  const text = Deno.readTextFileSync(path);
  for (const [setting, { default: value }] of SETTINGS) {
    const key = setting.split(".").at(-1);
    assert(new RegExp(`^[ -]*${key}:`, "m").test(text), `${setting} is missing`);
    if (value === undefined || typeof value === "object") continue;
    assert(
      new RegExp(`^[ -]*${key}: ${value}$`, "m").test(text),
      `${setting} is not its default ${value}`,
    );
  }
});
