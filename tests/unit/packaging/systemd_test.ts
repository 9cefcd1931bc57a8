import { assert, assertEquals } from "@std/assert";
import { checkNetworkd } from "../../../src/cli/doctor/networkd.ts";
import { healthyHost } from "../cli/doctor/fake_host.ts";

const FOLDER = new URL("../../../packaging/systemd/", import.meta.url).pathname;
const UNIT = Deno.readTextFileSync(`${FOLDER}livenessd.service`);
const HAS_SYSTEMD = ["/usr/bin", "/bin"].some((folder) => {
  try {
    return Deno.statSync(`${folder}/systemd-analyze`).isFile;
  } catch {
    return false;
  }
});

function setting(name: string): string[] {
  return UNIT.split("\n").filter((line) => line.startsWith(`${name}=`))
    .map((line) => line.slice(name.length + 1));
}

Deno.test("the shipped drop-in is all that the doctor asks of networkd", () => {
  const host = healthyHost();
  host.addProcess(300, "systemd-network");
  assertEquals(checkNetworkd(host.facts()).map(({ level }) => level), ["warn"]);
  host.files["/etc/systemd/networkd.conf.d/livenessd.conf"] = Deno.readTextFileSync(
    `${FOLDER}networkd.conf.d/livenessd.conf`,
  );
  assertEquals(checkNetworkd(host.facts()).map(({ level }) => level), ["ok"]);
});

Deno.test("the unit grants two capabilities, and what the runtime needs", () => {
  for (const name of ["AmbientCapabilities", "CapabilityBoundingSet"]) {
    assertEquals(setting(name), ["CAP_NET_ADMIN CAP_NET_RAW"]);
  }
  assertEquals(setting("ExecStart"), [
    "/usr/bin/livenessd run -c /etc/livenessd/livenessd.yaml",
  ]);
  // Just-in-time compilation writes code, and the state file must be there after a restart.
  assertEquals(setting("MemoryDenyWriteExecute"), []);
  assertEquals(setting("RuntimeDirectoryPreserve"), ["restart"]);
});

Deno.test({
  name: "systemd has nothing to say against the unit",
  ignore: !HAS_SYSTEMD,
  async fn() {
    const directory = Deno.makeTempDirSync();
    try {
      // The executable is not installed where the unit expects it.
      const unit = UNIT.replace(/^ExecStart=\S+/m, `ExecStart=${Deno.execPath()}`);
      assert(unit !== UNIT);
      Deno.writeTextFileSync(`${directory}/livenessd.service`, unit);
      const { code, stderr } = await new Deno.Command("systemd-analyze", {
        args: ["verify", `${directory}/livenessd.service`],
      }).output();
      // Other units of the machine are none of ours.
      const lines = new TextDecoder().decode(stderr).split("\n")
        .filter((line) => line.includes("livenessd.service"));
      assertEquals([code, lines], [0, []]);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  },
});
