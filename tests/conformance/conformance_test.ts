import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkVector } from "./vectors.ts";

for (const name of ["packets", "versions", "sessions"]) {
  Deno.test(`every recorded vector of ${name}.jsonl is met`, async () => {
    const file = new URL(`./vectors/${name}.jsonl`, import.meta.url);
    const lines = (await Deno.readTextFile(file)).trim().split("\n");
    assertEquals(lines.map(checkVector).filter((problem) => problem !== null), []);
    assertEquals(lines.length >= 20, true, "the file was empty");
  });
}

Deno.test("a vector whose recorded result is altered is a mismatch that names the step and field", async () => {
  const file = new URL("./vectors/sessions.jsonl", import.meta.url);
  const trace = JSON.parse((await Deno.readTextFile(file)).split("\n", 1)[0]!);
  trace.steps[3].after.detectTimeUs += 1;
  const problem = checkVector(JSON.stringify(trace));
  assertStringIncludes(problem ?? "", "step 4");
  assertStringIncludes(problem ?? "", "after.detectTimeUs");
});

Deno.test("a line that is no vector is reported, not skipped", () => {
  assertStringIncludes(checkVector("{}") ?? "", "not a vector");
  assertStringIncludes(checkVector("nonsense") ?? "", "exception");
});
