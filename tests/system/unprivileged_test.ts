import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { EXECUTABLE, invoke } from "./daemon.ts";
import { eventually, hasRoute, SLACK_MS, TwoHosts, UP_MS } from "./harness.ts";

/** What packaging/systemd/livenessd.service grants. */
const CAPABILITIES = "+net_admin,+net_raw";
const AS_THE_UNIT_DOES = [
  "setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  `--inh-caps=${CAPABILITIES}`,
  `--ambient-caps=${CAPABILITIES}`,
  `--bounding-set=-all,${CAPABILITIES}`,
  "--no-new-privs",
];

Deno.test("an ordinary user with the unit's two capabilities keeps routes, and the doctor agrees", async () => {
  await using hosts = await TwoHosts.create("user");
  const { a, b, directory } = hosts;
  const file = (name: string) => `${directory}/${name}`;
  await Deno.chmod(directory, 0o777);
  await Deno.copyFile(EXECUTABLE, file("livenessd"));
  await Deno.chmod(file("livenessd"), 0o755);
  await Deno.writeTextFile(file("user.yaml"), JSON.stringify(hosts.configOf(a)));
  const run = [file("livenessd"), "run", "-c", file("user.yaml")];
  const options = { stdin: "null", stdout: "null", stderr: "null" } as const;
  const daemon = a.namespace.command([...AS_THE_UNIT_DOES, ...run], options).spawn();
  await hosts.start(b);
  await eventually("up", UP_MS + SLACK_MS, () => hasRoute(hosts, a));
  assertEquals((await Deno.stat(hosts.socketOf(a))).uid, 65534);
  const { code, stdout } = await invoke(a.namespace, "doctor", "-c", file("user.yaml"), "--json");
  assertEquals(code, 0);
  const capabilities = JSON.parse(stdout).find(({ id }: { id: string }) => id === "capabilities");
  assertEquals(capabilities.level, "ok");
  assertStringIncludes(capabilities.what, "The daemon (pid ");
  daemon.kill("SIGTERM");
  assert((await daemon.status).success);
  assertEquals(await hasRoute(hosts, a), false);
  assertEquals((await a.namespace.ip("rule")).includes("44880"), false);
});
