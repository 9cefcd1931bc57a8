import { assertEquals, assertThrows } from "@std/assert";
import { CliError } from "../../../src/cli/exit.ts";
import { readWordPairs } from "../../../src/cli/word_pairs.ts";

const rules = { pairs: ["via", "dev", "src"], flags: ["no_uninstall"], required: ["via", "dev"] };

Deno.test("word pairs come in any order, flags between them", () => {
  const words = ["dev", "tun0", "no_uninstall", "via", "10.0.0.2"];
  assertEquals(readWordPairs(words, rules), { dev: "tun0", no_uninstall: true, via: "10.0.0.2" });
});

Deno.test("a value may look like a word", () => {
  assertEquals(readWordPairs(["dev", "via", "via", "dev"], rules), { dev: "via", via: "dev" });
});

Deno.test("wrong words end with status 2 and say what is allowed", () => {
  const refused: [string[], string][] = [
    [["vai", "x"], 'unknown word "vai" (did you mean "via"?); allowed are via, dev, src'],
    [["__proto__", "x"], 'unknown word "__proto__"'],
    [["toString"], 'unknown word "toString"'],
    [["via"], '"via" needs a value'],
    [["via", "1", "via", "2"], '"via" is given twice'],
    [["src", "1"], "missing: via, dev"],
  ];
  for (const [words, message] of refused) {
    const error = assertThrows(() => readWordPairs(words, rules), CliError, message);
    assertEquals(error.status, 2);
  }
});
