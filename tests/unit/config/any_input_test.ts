import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { dump } from "js-yaml";
import { loadConfig } from "../../../src/config/load.ts";
import { formatProblems } from "../../../src/config/problem.ts";
import { readText } from "../../../src/config/read.ts";
import { OPTIONS } from "./support.ts";

/** Loads whatever it is; a refusal names at least one problem, and each can be printed. */
function load(text: string, overrides: string[] = []): boolean {
  const readFile = () => ({ ok: true, text }) as const;
  const result = loadConfig(text, "t.yaml", { ...OPTIONS, overrides, readFile });
  if (result.ok) return true;
  assert(result.problems.length > 0);
  for (const problem of result.problems) {
    assert(formatProblems([problem]).length > 0);
    assert(!/undefined|\[object|NaN,/.test(problem.message), problem.message);
  }
  return false;
}

const KEYS = [
  "mode",
  "liveness",
  "port",
  "tx_min",
  "routes",
  "dst",
  "via",
  "dev",
  "src",
  "probe",
  "table",
];
const VALUES = [
  "active",
  "10.0.0.1",
  "10.1.0.0/16",
  "300ms",
  "0",
  "-1s",
  "main",
  "nope",
  "",
  "tun0",
];

/** Structures that resemble a configuration closely enough to get past the first checks. */
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<unknown>(...VALUES),
    fc.oneof(fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.string()),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...KEYS), fc.string()), tie("tree"), { maxKeys: 6 }),
  ),
}));
const section = fc.dictionary(fc.constantFrom(...KEYS), tree, { maxKeys: 8 });
const almost = fc.record({
  mode: fc.constantFrom("active", "passive", "x"),
  liveness: section,
  routes: fc.array(section, { maxLength: 5 }),
}, { requiredKeys: [] });

Deno.test("any text is loaded or refused with problems, never thrown at", () => {
  const signs = fc.string({
    unit: fc.constantFrom(..."-:[]{}&*!|>'\"%@`#?, \n\tab10."),
    maxLength: 60,
  });
  let refusals = 0;
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), signs), (text) => {
      if (!load(text)) refusals += 1;
    }),
    { numRuns: 3_000 },
  );
  assert(refusals > 2_000);
});

Deno.test("any structure is loaded or refused with problems, never thrown at", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(tree, almost), (value) => {
      if (load(dump(value))) accepted += 1;
    }),
    { numRuns: 2_000, seed: 7 },
  );
  assert(accepted > 0, "some structures are configurations");
});

Deno.test("any override is applied or refused with problems, never thrown at", () => {
  const path = fc.array(fc.constantFrom(...KEYS, "[0]", "[7]"), { maxLength: 3 }).map((p) =>
    p.join(".")
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.tuple(path, fc.oneof(fc.string(), fc.constantFrom(...VALUES))).map(([at, value]) =>
      `${at}=${value}`
    ),
  );
  let runs = 0;
  fc.assert(fc.property(fc.array(text, { maxLength: 4 }), (overrides) => {
    load("mode: active\nroutes: [{}]\n", overrides);
    runs += 1;
  }));
  assertEquals(runs, 100);
});

Deno.test("any bytes are text or refused, never thrown at", () => {
  const path = Deno.makeTempFileSync();
  try {
    let texts = 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        Deno.writeFileSync(path, bytes);
        const result = readText(path);
        if (!result.ok) return assertEquals(result.problems.length, 1);
        texts += 1;
        load(result.text);
      }),
      { numRuns: 300 },
    );
    assert(texts > 0);
  } finally {
    Deno.removeSync(path);
  }
});
