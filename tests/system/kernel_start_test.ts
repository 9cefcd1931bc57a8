import { assert, assertEquals } from "@std/assert";
import { run } from "./netns.ts";
import type { StartReport } from "./kernel_start_child.ts";
import { createWorld } from "./kernel_world.ts";

const child = new URL("./kernel_start_child.ts", import.meta.url).pathname;
const deno = [Deno.execPath(), "run", "-A", child];

/** Where the dynamic loader finds a library. */
async function pathOf(library: string): Promise<string> {
  const line = (await run(["ldconfig", "-p"])).split("\n").find((each) => each.includes(library));
  assert(line !== undefined, `${library} is not installed`);
  return line.split("=> ")[1];
}

Deno.test("the kernel opens for root, and does not keep the program alive", async () => {
  await using namespace = await createWorld("start");
  const report: StartReport = JSON.parse(await namespace.exec(["timeout", "20", ...deno]));
  assertEquals(report, { kind: "opened", message: "" });
});

Deno.test("without CAP_NET_ADMIN opening fails by the capability's name and with the remedy", async () => {
  await using namespace = await createWorld("start");
  const without = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", ...deno];
  const report: StartReport = JSON.parse(await namespace.exec(without));
  assertEquals(report.kind, "MissingCapability");
  for (const part of ["CAP_NET_ADMIN", "root", "AmbientCapabilities=", "setcap"]) {
    assert(report.message.includes(part), report.message);
  }
});

for (
  const [library, name] of [["libnl-3.so.200", "libnl-3-200"], [
    "libnl-route-3.so.200",
    "libnl-route-3-200",
  ]]
) {
  Deno.test(`without ${library} opening fails by its name and its package's`, async () => {
    // In a mount namespace of its own, which ends with the command, the file is empty.
    const path = await pathOf(library);
    const script = `mount --bind /dev/null "$0" && exec "$@"`;
    const printed = await run(["unshare", "--mount", "sh", "-c", script, path, ...deno]);
    const report: StartReport = JSON.parse(printed);
    assertEquals(report.kind, "MissingLibrary");
    for (const part of [`${library} cannot be loaded (`, `apt install ${name})`, "libnl3"]) {
      assert(report.message.includes(part), report.message);
    }
    assert(!report.message.includes("undefined"), report.message);
  });
}
