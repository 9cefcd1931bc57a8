import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Daemon, EXECUTABLE, invoke } from "./daemon.ts";
import {
  bothInstalled,
  bothUp,
  DEV,
  eventually,
  hasRoute,
  PORT,
  routes,
  SLACK_MS,
  TwoHosts,
} from "./harness.ts";

/** Waits for the end of a daemon that should not run; its exit status and what it said. */
async function ending(daemon: Daemon): Promise<{ code: number; text: string }> {
  await eventually("it to end", 5_000 + SLACK_MS, () => !daemon.running);
  return { code: await daemon.finished, text: daemon.lines.join("\n") };
}

/** The daemon of host a as an unprivileged user with these capabilities. */
async function startAsNobody(hosts: TwoHosts, capabilities: readonly string[]): Promise<Daemon> {
  const { a, directory } = hosts;
  // Where that user can reach it.
  await Deno.chmod(directory, 0o777);
  await Deno.copyFile(EXECUTABLE, `${directory}/livenessd`);
  await Deno.chmod(`${directory}/livenessd`, 0o755);
  await Deno.writeTextFile(`${directory}/a.yaml`, JSON.stringify(hosts.configOf(a)));
  const granted = capabilities.map((name) => `+${name}`).join(",");
  const caps = granted === "" ? [] : [`--inh-caps=${granted}`, `--ambient-caps=${granted}`];
  const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...caps];
  const argv = [...user, `${directory}/livenessd`, "run", "-c", `${directory}/a.yaml`];
  const command = a.namespace.command(argv, { stdin: "null", stdout: "piped", stderr: "piped" });
  return new Daemon(a.namespace, hosts.socketOf(a), command);
}

Deno.test("a second daemon on the same socket gives way, and the first does not notice", async () => {
  await using hosts = await TwoHosts.create("second");
  const [first] = await bothUp(hosts);
  const second = await ending(await hosts.start(hosts.a));
  assertEquals(second.code, 1);
  assertStringIncludes(second.text, first.socket);
  assert(await bothInstalled(hosts));
  assertEquals((await first.json("sessions"))[0].flaps, 0);
  assertStringIncludes(await hosts.a.namespace.ip("rule"), "lookup 44880");
  assertEquals((await routes(hosts.a, "table 44880")).length, 1);
});

Deno.test("a file that is no socket is in the way and stays as it is", async () => {
  await using hosts = await TwoHosts.create("file");
  await Deno.writeTextFile(hosts.socketOf(hosts.a), "precious");
  const { code, text } = await ending(await hosts.start(hosts.a));
  assertEquals(code, 1);
  assertStringIncludes(text, hosts.socketOf(hosts.a));
  assertEquals(await Deno.readTextFile(hosts.socketOf(hosts.a)), "precious");
});

Deno.test("without root it says which capability it lacks and touches nothing", async () => {
  await using hosts = await TwoHosts.create("noroot");
  const { a } = hosts;
  await using daemon = await startAsNobody(hosts, []);
  const { code, text } = await ending(daemon);
  assertEquals(code, 1, text);
  assertStringIncludes(text, "CAP_NET_ADMIN");
  assertEquals(await routes(a), []);
});

Deno.test("two capabilities suffice: CAP_NET_ADMIN and CAP_NET_RAW", async () => {
  await using hosts = await TwoHosts.create("caps");
  await using daemon = await startAsNobody(hosts, ["net_admin", "net_raw"]);
  await hosts.start(hosts.b);
  await eventually("up", 3_000 + SLACK_MS, () => bothInstalled(hosts));
  await hosts.unplug();
  await hosts.plug();
  await eventually("back", 5_000 + SLACK_MS, () => bothInstalled(hosts));
  assertEquals(await daemon.stop(), 0);
  assertEquals([await routes(hosts.a), await routes(hosts.a, "table 44880")], [[], []]);
});

Deno.test("a port in use is the session's reason until it is free", async () => {
  await using hosts = await TwoHosts.create("port");
  const { a, b } = hosts;
  const squatter = a.namespace.command([
    Deno.execPath(),
    "eval",
    "--unstable-net",
    `Deno.listenDatagram({ transport: "udp", hostname: "${a.address}", port: ${PORT} });` +
    "console.log('here'); setInterval(() => {}, 1e6);",
  ], { stdin: "null", stdout: "piped", stderr: "null" }).spawn();
  const [daemon] = await (async () => {
    const reader = squatter.stdout.getReader();
    await reader.read();
    reader.releaseLock();
    return [await hosts.start(a), await hosts.start(b)];
  })();
  await eventually("the reason", 2_000 + SLACK_MS, async () => {
    const [session] = await daemon.json("sessions").catch(() => []);
    return session?.state === "down" && /endpoint: .*in use/i.test(session.reason);
  });
  assertEquals(await hasRoute(hosts, a), false);
  squatter.kill("SIGKILL");
  await squatter.stdout.cancel();
  await squatter.status;
  await eventually("up", 5_000 + SLACK_MS, () => bothInstalled(hosts));
});

Deno.test("an unknown interface and an unreachable next hop do not hinder other routes", async () => {
  await using hosts = await TwoHosts.create("unknown");
  const { a, b } = hosts;
  const good = hosts.routeOf(a);
  const nowhere = { dst: "10.3.0.1/32", via: b.link, dev: "nope0", src: a.address };
  const unreachable = { dst: "10.3.0.2/32", via: "192.0.2.9", dev: DEV, src: a.address };
  const config = hosts.configOf(a, { routes: [nowhere, good, unreachable] });
  const daemon = await hosts.start(a, config);
  await hosts.start(b);
  await eventually("the good route", 3_000 + SLACK_MS, () => hasRoute(hosts, a));
  const sessions: { peer: string; state: string; reason: string }[] = await daemon.json("sessions");
  const of = (peer: string) => sessions.find((session) => session.peer === peer)!;
  assertEquals([of("10.3.0.1").state, of("10.3.0.2").state], ["down", "down"]);
  assertStringIncludes(of("10.3.0.1").reason, "nope0");
  assert(daemon.events("probe_route_failed").length > 0, daemon.lines.join("\n"));
  assertEquals((await routes(a)).map(({ dst }) => dst), [b.address]);
});

Deno.test("a configuration that is none is refused with its name, and nothing starts", async () => {
  await using hosts = await TwoHosts.create("config");
  const { a, directory } = hosts;
  const file = (name: string) => `${directory}/${name}`;
  await Deno.mkdir(file("folder"));
  await Deno.writeFile(file("binary"), crypto.getRandomValues(new Uint8Array(4096)));
  await Deno.writeTextFile(file("large"), `# ${"x".repeat(10 * 1024 * 1024)}\n`);
  await Deno.writeTextFile(file("wrong"), "mode: aktive\nroutes:\n  - dst: 10.0.0.0/33\n");
  for (const name of ["folder", "binary", "large", "wrong", "absent"]) {
    for (const command of ["run", "check"]) {
      const { code, stderr } = await invoke(a.namespace, command, "-c", file(name));
      assertEquals(code, 2, `${command} ${name}: ${stderr}`);
      assertStringIncludes(stderr, file(name));
    }
  }
  assertEquals(await routes(a), []);
});

Deno.test("duplicate routes in a configuration are refused by name", async () => {
  await using hosts = await TwoHosts.create("twice");
  const { a } = hosts;
  const config = hosts.configOf(a, { routes: [hosts.routeOf(a), hosts.routeOf(a)] });
  const { code, text } = await ending(await hosts.start(a, config));
  assertEquals(code, 2);
  assertStringIncludes(text, hosts.b.address);
});

Deno.test("names that the host does not know are refused with what was given", async () => {
  await using hosts = await TwoHosts.create("names");
  const { a } = hosts;
  const unknownTable = { routes: [{ ...hosts.routeOf(a), table: "nosuchtable" }] };
  const unknownProtocol = { kernel: { protocol: "nosuchprotocol" } };
  for (const [name, changes] of Object.entries({ unknownTable, unknownProtocol })) {
    const { code, text } = await ending(await hosts.start(a, hosts.configOf(a, changes)));
    assertEquals(code, 2, name);
    assertStringIncludes(text, "nosuch");
  }
});

Deno.test("commands without a daemon end with status 3", async () => {
  await using hosts = await TwoHosts.create("nodaemon");
  const socket = `${hosts.directory}/nobody.sock`;
  const answer = await invoke(hosts.a.namespace, "--socket", socket, "status");
  assertEquals(answer.code, 3);
  assertStringIncludes(answer.stderr, socket);
});

Deno.test("the executable unpacks nothing: temporary directory and home stay empty", async () => {
  await using hosts = await TwoHosts.create("unpack");
  const [home, temporary] = ["home", "tmp"].map((name) => `${hosts.directory}/${name}`);
  for (const folder of [home, temporary]) await Deno.mkdir(folder);
  const { a } = hosts;
  const env = { HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: `${home}/cache` };
  const daemon = await hosts.start(a, hosts.configOf(a), { env });
  await eventually(
    "it to run",
    2_000 + SLACK_MS,
    async () => (await daemon.cli("status")).code === 0,
  );
  await daemon.stop();
  assertEquals([...Deno.readDirSync(home), ...Deno.readDirSync(temporary)], []);
});
