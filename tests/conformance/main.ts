/**
 * Runs recorded behaviour of the reference implementation against ours.
 *
 *   deno task conformance FILE...
 *
 * A file holds one JSON object a line, of one of three forms told apart by their content: packets, client
 * versions, session traces. Prints each mismatch with its line (and step), then `N passed, N failed`.
 */
import { checkVector } from "./vectors.ts";

const files = Deno.args;
if (files.length === 0) {
  console.error("usage: deno task conformance FILE...");
  Deno.exit(2);
}
let passed = 0;
let failed = 0;
for (const file of files) {
  const lines = (await Deno.readTextFile(file)).split("\n");
  lines.forEach((line, index) => {
    if (line.trim() === "") return;
    const problem = checkVector(line);
    if (problem === null) return void passed++;
    failed++;
    console.log(`${file}:${index + 1}: ${problem}`);
  });
}
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 || passed === 0 ? 1 : 0);
