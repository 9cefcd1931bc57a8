import { assertEquals, assertThrows } from "@std/assert";
import {
  formatVersion,
  packVersion,
  parseVersion,
  VERSION_NOT_TOLD,
  versionBytes,
  VersionError,
} from "../../../src/protocol/version.ts";

for (
  const [text, bytes] of [
    ["0.1.0", [0, 1, 0, 0]],
    ["255.255.255", [255, 255, 255, 0]],
    [" 1.2.3 ", [1, 2, 3, 0]],
    ["1.2.3-alpha", [1, 2, 3, 1]],
    ["1.2.3-beta.4", [1, 2, 3, 2]],
    ["1.2.3-RC~5", [1, 2, 3, 3]],
    ["1.2.3-dev+abc", [1, 2, 3, 4]],
    ["1.2.3-nightly", [1, 2, 3, 5]],
    ["1.2.3-rc1", [1, 2, 3, 5]],
    ["1.2.3+build", [1, 2, 3, 0]],
    ["1.2.3~gitabcdef", [1, 2, 3, 4]],
    ["1.2.3+GIT.1", [1, 2, 3, 4]],
    ["1.2.3-rc+git", [1, 2, 3, 3]],
  ] as const
) {
  Deno.test(`version ${JSON.stringify(text)} is ${bytes.join(" ")} on the wire`, () => {
    assertEquals(versionBytes(parseVersion(text)), [...bytes]);
  });
}

for (
  const text of ["", "1", "1.2", "1.2.3.4", "1.2.256", "v1.2.3", "1.2.x", "-1.2.3", "1.2.3 rc"]
) {
  Deno.test(`${JSON.stringify(text)} is no version, and the error names it and the form`, () => {
    const error = assertThrows(() => parseVersion(text), VersionError);
    assertEquals(
      (error as Error).message,
      `client version ${
        JSON.stringify(text)
      } is not MAJOR.MINOR.PATCH[-channel], each number 0..255`,
    );
  });
}

Deno.test("a version is shown as it is written; an unassigned channel by its number", () => {
  for (const text of ["1.2.3", "200.0.255-alpha", "0.0.1-beta", "1.0.0-rc", "1.0.0-dev"]) {
    assertEquals(formatVersion(parseVersion(text)), text);
  }
  assertEquals(formatVersion(packVersion(1, 2, 3, 77)), "1.2.3-unknown(77)");
  assertEquals(formatVersion(VERSION_NOT_TOLD), "0.0.0");
});
