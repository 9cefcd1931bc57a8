import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { formatProblem } from "../../../src/config/problem.ts";
import { readConfig, readText } from "../../../src/config/read.ts";
import { OPTIONS } from "./support.ts";

/** Runs with a directory of its own, which it removes. */
function inDirectory(run: (directory: string) => void): void {
  const directory = Deno.makeTempDirSync();
  try {
    run(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** The one problem of a file with this content. */
function problemOf(content: string | Uint8Array): string {
  let problem = "";
  inDirectory((directory) => {
    const path = `${directory}/livenessd.yaml`;
    Deno.writeFileSync(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    const result = readConfig(path, OPTIONS);
    assert(!result.ok);
    assertEquals(result.problems.length, 1);
    problem = formatProblem(result.problems[0]!).replace(path, "FILE");
  });
  return problem;
}

Deno.test("a missing file and a directory are named as such", () => {
  inDirectory((directory) => {
    const problems = [`${directory}/none.yaml`, directory, "/etc/hostname/x"].map((path) => {
      const result = readConfig(path, OPTIONS);
      return result.ok ? "" : formatProblem(result.problems[0]!);
    });
    assertEquals(problems.slice(0, 2), [
      `${directory}/none.yaml: got no such file, expected a file`,
      `${directory}: got a directory, expected a file`,
    ]);
    assertStringIncludes(
      problems[2]!,
      "/etc/hostname/x: got a file that cannot be read, expected a readable file",
    );
  });
});

Deno.test("an empty file is refused as one", () => {
  assertStringIncludes(
    problemOf(""),
    "FILE: got a file without settings, expected at least one setting",
  );
});

Deno.test("a binary file is refused before it is parsed", () => {
  assertEquals(
    problemOf(Uint8Array.of(0x6d, 0, 1)),
    "FILE: got a binary file, expected text in UTF-8 (NUL byte at offset 1)",
  );
  assertEquals(
    problemOf(Uint8Array.of(0x6d, 0x0a, 0x0a, 0xc3, 0x28, 0x0a)),
    "FILE:3: got bytes that are not UTF-8, expected text in UTF-8",
  );
  assertEquals(
    problemOf(Uint8Array.of(0x6d, 0xe2, 0x82)),
    "FILE:1: got bytes that are not UTF-8, expected text in UTF-8",
  );
});

Deno.test("a file of 10 MB is refused with its size and the limit", () => {
  assertEquals(
    problemOf("# comment\n".repeat(1_000_000)),
    "FILE: got 10000000 bytes, expected at most 8388608 bytes (8 MiB)",
  );
});

Deno.test("what has no size is read up to the limit", () => {
  const result = readText("/dev/zero", 1024 * 1024);
  assertEquals(result.ok ? [] : result.problems.map(formatProblem), [
    "/dev/zero: got more than 1048576 bytes, expected at most 1048576 bytes (1 MiB)",
  ]);
  assertEquals(readText("/dev/null"), { ok: true, text: "" });
});

Deno.test("a file as large as the limit is read, with its byte order mark dropped", () => {
  inDirectory((directory) => {
    const path = `${directory}/t`;
    Deno.writeTextFileSync(path, "\ufeffmode: active\n");
    assertEquals(readText(path, 16), { ok: true, text: "mode: active\n" });
    assertEquals(readText(path, 15).ok, false);
  });
});

Deno.test("the second file is looked for beside the first, and its absence is one more problem", () => {
  inDirectory((directory) => {
    const path = `${directory}/livenessd.yaml`;
    Deno.writeTextFileSync(path, "mode: x\nroute_config: more/route-config.json\n");
    const missing = readConfig(path, OPTIONS);
    const other = `${directory}/more/route-config.json`;
    assertEquals(missing.ok ? [] : missing.problems.map(formatProblem), [
      `${path}:1:1: mode: got "x", expected active or passive`,
      `${path}:2:1: route_config: got "more/route-config.json", expected a file that can be read ` +
      `(problems of ${other} follow)`,
      `${other}: got no such file, expected a file`,
    ]);
    Deno.mkdirSync(`${directory}/more`);
    Deno.writeTextFileSync(path, "route_config: more/route-config.json\n");
    Deno.writeTextFileSync(other, '{"exclude": ["10.1.0.9"]}');
    const result = readConfig(path, OPTIONS);
    assertEquals(result.ok && result.config.exclude, ["10.1.0.9"]);
  });
});
