import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseYaml } from "../../../src/config/document.ts";
import { formatProblem } from "../../../src/config/problem.ts";

function problems(text: string): string[] {
  const result = parseYaml(text, "t.yaml");
  assert(!result.ok, text.slice(0, 100));
  return result.problems.map(formatProblem);
}

function document(text: string) {
  const result = parseYaml(text, "t.yaml");
  assert(result.ok, result.ok ? "" : formatProblem(result.problems[0]!));
  return result.document;
}

Deno.test("every key and entry is found where it stands", () => {
  const { data, locate, has } = bound(document("a: 1\nb:\n  - c: 2\n  - {d: &x {e: 3}, f: *x}\n"));
  assertEquals(data, { a: 1, b: [{ c: 2 }, { d: { e: 3 }, f: { e: 3 } }] });
  const at = (...path: (string | number)[]) => [locate(path).line, locate(path).column];
  assertEquals(at("a"), [1, 1]);
  assertEquals(at("b", 0, "c"), [3, 5]);
  assertEquals(at("b", 1), [4, 5]);
  assertEquals(at("b", 1, "d", "e"), [4, 13]);
  assertEquals(at("b", 1, "f", "e"), [4, 13]); // through the alias
  assertEquals(at("b", 1, "nowhere", 3), [4, 5]); // what holds it
  assertEquals([has(["b", 1, "d"]), has(["b", 2]), has(["a", "x"])], [true, false, false]);
});

function bound(it: ReturnType<typeof document>) {
  return { data: it.data, locate: it.locate.bind(it), has: it.has.bind(it) };
}

Deno.test("nothing but comments is no data", () => {
  for (const text of ["", "\n\n", "# only\n  # comments\n", "---\n", "\ufeff"]) {
    assertEquals(document(text).data, null);
  }
});

Deno.test("an entry with nothing in it is found at its dash", () => {
  const { locate } = bound(document("a:\n  -\n  - {b: [1, 'x']} # two\n  -\n  - 3\n"));
  assertEquals([0, 1, 2, 3, 4].map((index) => locate(["a", index]).line), [2, 3, 4, 5, 1]);
});

Deno.test("mistakes in the syntax have a place", () => {
  const wrong = {
    "a:\n\tb: 1\n": "2:1: not valid YAML: got a tab as indentation, expected spaces",
    "a: [1\nb: 2\n":
      "2:1: not valid YAML: too little indentation, or a bracket or quote above is not closed",
    "a: 1\n  b: 2\n": "2:4: not valid YAML: bad indentation, or text that needs quotes",
    "a:\n  - b: 1\n   c: 2\n": "3:4: not valid YAML: bad indentation, or text that needs quotes",
    "{a: 1}}\n":
      "1:7: not valid YAML: this belongs to nothing above it: check indentation, brackets and quotes",
    "a: [1, 2": "1:9: not valid YAML: unexpected end of the stream within a flow collection",
    "a: !secret x\n": '1:4: got the tag "!secret", which is unknown or does not fit here',
    "a: !!int x\n": '1:4: got the tag "!!int", which is unknown or does not fit here',
    "a: !!map [1]\n": '1:4: got the tag "!!map", which is unknown or does not fit here',
    "a: *b\n": '1:4: the alias "b" stands for no anchor before it',
  };
  for (const [text, problem] of Object.entries(wrong)) {
    assertEquals(problems(text), [`t.yaml:${problem}`]);
  }
});

Deno.test("plain scalars are what YAML 1.2's core schema says, quoted ones are text", () => {
  const scalars = {
    "null": null,
    "~": null,
    "": null,
    "!!null ''": null,
    "True": true,
    "yes": "yes",
    "off": "off",
    "012": 12,
    "0x1F": 31,
    "0o17": 15,
    "-1.5e3": -1500,
    "-.inf": -Infinity,
    "1_000": "1_000",
    "12:30:45": "12:30:45",
    "2024-01-02": "2024-01-02",
    "'12'": "12",
    '"\\u0041\\ttrue"': "A\ttrue",
    "!!str 12": "12",
    "! 12": "12",
    "!!float 1": 1,
    "!!seq [1]": [1],
    "<<": "<<",
    "|\n  a\n  b\n": "a\nb\n",
    ">-\n  a\n  b\n": "a b",
    "a\n  b": "a b",
  };
  for (const [text, value] of Object.entries(scalars)) {
    assertEquals(document(`x: ${text}`).data, { x: value }, text);
  }
  assertEquals(document("a: &m {b: 1}\nc: {<<: *m}\n").data, {
    a: { b: 1 },
    c: { "<<": { b: 1 } },
  });
});

Deno.test("a second document is refused where it begins", () => {
  assertEquals(problems("a: 1\n---\nb: 2\n"), [
    't.yaml:2:1: got a second document, expected one: remove the "---" line here and merge the two',
  ]);
  assertStringIncludes(
    problems("---\na: |\n  ---\n---\n")[0]!,
    "t.yaml:4:1: got a second document",
  );
  assertStringIncludes(problems("a: 1\n... # end\nb: 2\n")[0]!, 'remove the "..." line');
  assertEquals(document("--- # begin\na: 1\n...\n").data, { a: 1 });
});

Deno.test("all duplicate keys are refused, each with the place of the first", () => {
  assertEquals(problems('a: 1\nb: {c: 1, "c": 2}\na: 3\n1: x\n"1": y\n'), [
    't.yaml:2:11: got the key "c" again, expected it once (line 2)',
    't.yaml:3:1: got the key "a" again, expected it once (line 1)',
    't.yaml:5:1: got the key "1" again, expected it once (line 4)',
  ]);
});

Deno.test("keys that are no text, or that libraries hide, are refused", () => {
  assertEquals(problems("? [a]\n: 1\n"), [
    "t.yaml:1:3: got a key that is no text, expected the name of a setting",
  ]);
  for (const key of ["__proto__", "constructor", "prototype"]) {
    assertEquals(problems(`${key}: 1\n`), [
      `t.yaml:1:1: got the key "${key}", which is no setting`,
    ]);
  }
});

Deno.test("aliases that expand without bound are refused at once", () => {
  const letters = [..."abcdefghij"];
  const bomb = letters.map((name, index) => {
    const inner = index === 0 ? "x" : `*${letters[index - 1]}`;
    return `${name}: &${name} [${Array(10).fill(inner).join(", ")}]\n`;
  }).join("");
  assertStringIncludes(problems(bomb)[0]!, "aliases expand to more than 1000000 values, the limit");
  assertStringIncludes(problems("a: &x [*x]\n")[0]!, "contains it");
});

Deno.test("an alias stands for the latest anchor of its name that began before it", () => {
  const text = "a: &x {b: &x 1, c: *x}\nd: *x\ne: &x 2\nf: *x\n";
  assertEquals(document(text).data, { a: { b: 1, c: 1 }, d: 1, e: 2, f: 2 });
});

Deno.test("ten thousand aliases of one address are no bomb", () => {
  const text = `a: &gw 10.0.0.2\nb: [${"*gw, ".repeat(10_000)}]\n`;
  assertEquals((document(text).data as { b: string[] }).b.length, 10_000);
});

Deno.test("nesting and number of values are bounded before anything is built", () => {
  const deep = ": lists and mappings are nested too deeply, the limit is 64";
  assertEquals(problems("[".repeat(100_000)), [`t.yaml:1:64${deep}`]);
  assertEquals(problems("a:\n" + "- ".repeat(100_000)), [`t.yaml:2:127${deep}`]);
  assertStringIncludes(problems(indented(5_000))[0]!, deep);
  const many = ": got more than 500000 line ends, dashes, commas and brackets, the limit";
  assertEquals(problems("- x\n".repeat(2_000_000)), [`t.yaml:250001:1${many}`]);
  for (const sign of ["[", "{a,", "? ", "-\n", "a:\r"]) {
    assertStringIncludes(problems(sign.repeat(2_000_000))[0]!, many);
  }
  const keys = Array.from({ length: 1_001 }, (_, index) => `k${index}: 1\n`).join("");
  assertEquals(problems(keys), ["t.yaml:1:1: got a mapping of 1001 keys, expected at most 1000"]);
});

/** Mappings inside each other, a line and a space of indentation each. */
function indented(levels: number): string {
  return Array.from({ length: levels }, (_, level) => `${" ".repeat(level)}a:\n`).join("");
}
