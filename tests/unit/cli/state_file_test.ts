import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { StateFile } from "../../../src/cli/state_file.ts";

function inDirectory(use: (path: string) => void): void {
  const directory = Deno.makeTempDirSync();
  try {
    use(`${directory}/run/state.json`);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function write(file: StateFile, text: string): void {
  const unfinished = file.begin();
  unfinished.write(text.slice(0, 3));
  unfinished.write(text.slice(3));
  unfinished.commit();
}

function namesAt(path: string): string[] {
  return [...Deno.readDirSync(path.slice(0, path.lastIndexOf("/")))].map(({ name }) => name).sort();
}

Deno.test("what is committed is read again, as a whole, by nobody else; nothing else is left behind", () => {
  inDirectory((path) => {
    const file = new StateFile(path);
    assertEquals(file.read(), null);
    const umask = Deno.umask(0);
    try {
      write(file, "first ä");
    } finally {
      Deno.umask(umask);
    }
    assertEquals(file.read(), "first ä");
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
    const unfinished = file.begin();
    unfinished.write("second");
    assertEquals(file.read(), "first ä", "until it is committed");
    unfinished.discard();
    assertEquals(namesAt(path), ["state.json"]);
    write(file, "third");
    assertEquals([file.read(), namesAt(path)], ["third", ["state.json"]]);
  });
});

Deno.test("what a killed run left half written does not hinder, and a link there is not followed", () => {
  inDirectory((path) => {
    const file = new StateFile(path);
    write(file, "first");
    Deno.writeTextFileSync(`${path}.precious`, "precious");
    Deno.symlinkSync(`${path}.precious`, `${path}.new`);
    write(file, "second");
    assertEquals([file.read(), Deno.readTextFileSync(`${path}.precious`)], ["second", "precious"]);
  });
});

Deno.test("what is not ours is neither read nor replaced, and the message says why", () => {
  const cases: Record<string, (path: string) => void> = {
    "is not a regular file": (path) => {
      Deno.renameSync(path, `${path}.target`);
      Deno.symlinkSync(`${path}.target`, path);
    },
    "can be written by other users": (path) => Deno.chmodSync(path, 0o622),
  };
  if (Deno.uid() === 0) {
    cases["belongs to user 65534"] = (path) => Deno.chownSync(path, 65534, 65534);
  }
  for (const [why, spoil] of Object.entries(cases)) {
    inDirectory((path) => {
      const file = new StateFile(path);
      write(file, "first");
      spoil(path);
      const before = Deno.lstatSync(path);
      for (const use of [() => file.read(), () => file.begin()]) {
        const { message } = assertThrows(use, Error);
        assertStringIncludes(message, `${path} ${why}`);
        assertStringIncludes(message, "state.file");
      }
      assertEquals(Deno.lstatSync(path).ino, before.ino);
      assertEquals(Deno.readTextFileSync(path), "first");
    });
  }
});

Deno.test("the place is this boot and this network namespace", () => {
  const { boot, netns } = new StateFile("/nonexistent").here;
  assertEquals(/^[0-9a-f-]{36}$/.test(boot), true);
  assertStringIncludes(Deno.readLinkSync("/proc/self/ns/net"), `[${netns}]`);
});
