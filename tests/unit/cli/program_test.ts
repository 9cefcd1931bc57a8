import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import { VERSION } from "../../../src/cli/version.ts";
import { FakeDaemon, route, session, status } from "../api/fake_daemon.ts";
import { run, withDaemon, withFile } from "./support.ts";

const CONFIG = `mode: active
routes:
  - {dst: 10.1.0.1/32, via: 10.0.0.2, dev: tun0, src: 10.0.0.1}
  - {dst: 10.2.0.0/16, via: 10.0.0.2, dev: tun0, src: 10.0.0.1, probe: 10.1.0.1}
`;

Deno.test("version and help go to standard output with status 0", async () => {
  for (const args of [["version"], ["--version"], ["-V"]]) {
    const { status, stdout } = await run(args);
    assertEquals([status, stdout], [0, `livenessd ${VERSION} (deno ${Deno.version.deno})\n`]);
  }
  const help = await run(["--help"]);
  assertEquals([help.status, help.stderr], [0, ""]);
  for (
    const command of ["run", "check", "schema", "version", "status", "routes", "sessions", "events"]
  ) {
    assertMatch(help.stdout, new RegExp(`^  ${command} `, "m"));
  }
  assert(help.stdout.split("\n").every((line) => line.length <= 80));
  assertStringIncludes((await run(["route", "add", "--help"])).stdout, "DST via GW dev IF src IP");
});

Deno.test("wrong usage is status 2 with a suggestion, and nothing on standard output", async () => {
  const wrong: [string[], string][] = [
    [[], "Usage: livenessd"],
    [["statsu"], "Did you mean status?"],
    [["status", "--jsno"], "Did you mean --json?"],
    [["status", "extra"], "too many arguments"],
    [["check", "-c"], "argument missing"],
    [["session"], "Usage: livenessd session"],
    [["session", "down"], "missing required argument 'peer'"],
    [["session", "down", "10.1.0.1", "dve", "tun0"], 'did you mean "dev"?'],
    [["route", "add", "10.1.0.1", "via", "10.0.0.2"], "missing: dev, src"],
    [["route", "del", "10.1.0.1", "via"], '"via" needs a value'],
  ];
  for (const [args, message] of wrong) {
    const { status, stdout, stderr } = await run(args);
    assertEquals([status, stdout], [2, ""], args.join(" "));
    assertStringIncludes(stderr, message);
  }
});

Deno.test("without a daemon the status is 3, and the message says how to start one", async () => {
  for (
    const args of [["status"], ["routes"], ["sessions", "--json"], ["session", "up", "10.1.0.1"]]
  ) {
    const { status, stdout, stderr } = await run(["--socket", "/nonexistent/x.sock", ...args]);
    assertEquals([status, stdout], [3, ""]);
    assertStringIncludes(stderr, "/nonexistent/x.sock: it does not exist");
    assertStringIncludes(stderr, "livenessd run");
  }
});

Deno.test("check counts what is in a good file and names every problem of a bad one", async () => {
  await withFile(CONFIG, async (path) => {
    const good = await run(["check", "-c", path]);
    assertEquals([good.status, good.stdout], [0, `${path}: ok, 2 routes, 1 session\n`]);
    const bad = await run(["check", "-c", path, "--set", "mode=x", "--set", "liveness.port=-1"]);
    assertEquals([bad.status, bad.stdout], [2, ""]);
    assertStringIncludes(bad.stderr, 'got "x", expected active or passive');
    assertStringIncludes(bad.stderr, "liveness.port");
    assertStringIncludes(bad.stderr, "2 problems\n");
  });
  await withFile("mode: active\nroutes: 7\n", async (path) => {
    const { status, stderr } = await run(["check", "-c", path]);
    assertEquals(status, 2);
    assert(stderr.startsWith(`${path}:2:`), stderr);
  });
  const missing = await run(["run", "-c", "/nonexistent.yaml"]);
  assertEquals(missing.status, 2);
  assertStringIncludes(missing.stderr, "/nonexistent.yaml");
});

Deno.test("schema prints a JSON Schema", async () => {
  const { status, stdout } = await run(["schema"]);
  assertEquals(status, 0);
  assertEquals(JSON.parse(stdout).properties.mode.enum, ["active", "passive"]);
});

Deno.test("sessions says why each is down, ordered by address, within 80 columns", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [
    session({ peer: "10.1.0.10" }),
    session({ peer: "10.1.0.9", state: "down", reason: "timeout", flaps: 1 }),
    session({ peer: "10.1.0.2", state: "down", reason: "never_up", was_up: false }),
  ];
  await withDaemon(daemon, async (cli) => {
    const wide = await cli(["sessions"]);
    assertEquals([wide.status, wide.stderr], [0, ""]);
    const lines = wide.stdout.trimEnd().split("\n");
    assertEquals(lines.slice(1).map((line) => line.split(" ")[0]), [
      "10.1.0.2",
      "10.1.0.9",
      "10.1.0.10",
    ]);
    assertStringIncludes(lines[1]!, "never up: nothing heard yet");
    assertStringIncludes(lines[2]!, "was up, failed 12 s ago: timeout");
    const narrow = await cli(["sessions"], { columns: 80 });
    assert(narrow.stdout.split("\n").every((line) => line.length <= 80));
    for (const part of ["never up: nothing heard yet", "was up, failed 12 s ago: timeout"]) {
      assertStringIncludes(narrow.stdout, part);
    }
  });
});

Deno.test("routes says why one is not installed, within 80 columns", async () => {
  const daemon = new FakeDaemon();
  daemon.routes = [
    route(),
    route({
      dst: "10.100.100.100/32",
      via: "192.168.100.200",
      dev: "doublezero15ch",
      src: "192.168.100.201",
      probe: "10.100.100.100",
      installed: false,
      desired: false,
      reason: "session: timeout",
      session_state: "down",
    }),
  ];
  await withDaemon(daemon, async (cli) => {
    const wide = await cli(["routes"]);
    assertMatch(wide.stdout, /^10\.1\.0\.1\/32 .* main +installed /m);
    assertMatch(wide.stdout, /withdrawn .* session down: timeout$/m);
    const narrow = await cli(["routes"], { columns: 80 });
    const lines = narrow.stdout.split("\n");
    assert(lines.every((line) => line.length <= 80), narrow.stdout);
    assertStringIncludes(lines[2]!, "session down: timeout");
  });
});

Deno.test("status shows what went wrong with its meaning, and which endpoints are not open", async () => {
  const daemon = new FakeDaemon();
  daemon.statusDocument = status({
    failures: [
      { name: "route_install_failures", count: 3, meaning: "refused by the kernel" },
      { name: "reconcile_failures", count: 0, meaning: "sweeps that failed" },
    ],
    endpoints: [
      { dev: "tun0", src: "10.0.0.1", port: 44880, open: true, reason: null },
      { dev: "tun1", src: "10.0.0.5", port: 44880, open: false, reason: "no such interface" },
    ],
  });
  await withDaemon(daemon, async (cli) => {
    const { status, stdout } = await cli(["status"]);
    assertEquals(status, 0);
    assertEquals(
      stdout,
      `livenessd 0.1.0, active, up 1 d 2 h, pid 42, deno 2.9.6
transport   recvmmsg/sendmmsg
sessions    3 up, 0 init, 2 down, 1 admin_down
routes      6 wanted, 3 installed, 0 refused
loop        a turn for each wake-up; at most 5.17 ms late since the start
reconciler  every 30 s, last 12 s ago (took 1.5 ms), 0 put back, 0 failed
endpoints   1 open, 1 not
  dev tun1 src 10.0.0.5 port 44880: no such interface
failures
  3 route_install_failures  refused by the kernel
`,
    );
  });
});

Deno.test("--json prints the API's JSON", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [session(), session({ peer: "10.1.0.2" })];
  daemon.routes = [route()];
  await withDaemon(daemon, async (cli) => {
    assertEquals(JSON.parse((await cli(["sessions", "--json"])).stdout), daemon.sessions);
    assertEquals(JSON.parse((await cli(["routes", "--json"])).stdout), daemon.routes);
    const { stdout } = await cli(["status", "--json"]);
    assertEquals(JSON.parse(stdout), daemon.statusDocument);
    assert(stdout.endsWith("\n"));
  });
});

Deno.test("nothing to list is said on standard error, and is no failure", async () => {
  await withDaemon(new FakeDaemon(), async (cli) => {
    assertEquals(await cli(["routes"]), {
      status: 0,
      stdout: "",
      stderr: "No routes are wanted.\n",
    });
    assertEquals(await cli(["routes", "--json"]), { status: 0, stdout: "[]\n", stderr: "" });
  });
});

Deno.test("colour is for a terminal and changes no text", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [session(), session({ peer: "10.1.0.2", state: "down", reason: "timeout" })];
  await withDaemon(daemon, async (cli) => {
    for (const command of ["sessions", "status"]) {
      const plain = await cli([command]);
      const colored = await cli([command], { color: true });
      assert(!plain.stdout.includes("\x1b"));
      assertEquals(stripAnsiCode(colored.stdout), plain.stdout);
      if (!Deno.noColor) assert(colored.stdout.includes("\x1b"));
    }
  });
});

Deno.test("what comes from outside cannot act on the terminal", async () => {
  const evil = "tun\x1b]0;owned\x07\u009b2J\n\u202e";
  const daemon = new FakeDaemon();
  daemon.sessions = [session({ dev: evil, state: "down", reason: `endpoint: ${evil}` })];
  daemon.routes = [route({ dev: evil, reason: evil })];
  daemon.statusDocument = status({
    transport: evil,
    endpoints: [{ dev: evil, src: "10.0.0.1", port: 1, open: false, reason: evil }],
    failures: [{ name: evil, count: 1, meaning: evil }],
  });
  daemon.outcome = { ok: false, code: "invalid", message: evil };
  await withDaemon(daemon, async (cli) => {
    const commands = [
      ["sessions"],
      ["routes"],
      ["status"],
      ["sessions", "--json"],
      ["status", "--json"],
      ["session", "down", "10.1.0.1"],
      ["route", "add", evil, "via", evil, "dev", evil, "src", evil],
      ["route", "del", evil],
      [evil],
    ];
    for (const args of commands) {
      const { stdout, stderr } = await cli(args);
      // deno-lint-ignore no-control-regex
      const acting = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/.exec(stdout + stderr);
      assertEquals(acting, null, JSON.stringify([args, stdout + stderr]));
      assertStringIncludes(stdout + stderr, "owned");
    }
  });
});

Deno.test("session down and up reach the session that is meant", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [session(), session({ dev: "tun1" })];
  await withDaemon(daemon, async (cli) => {
    const unclear = await cli(["session", "down", "10.1.0.1"]);
    assertEquals([unclear.status, unclear.stdout], [1, ""]);
    assertStringIncludes(unclear.stderr, "2 sessions");
    assertStringIncludes(unclear.stderr, "\n  10.1.0.1 dev tun1 src 10.0.0.1\n");
    assertEquals((await cli(["session", "down", "10.1.0.1", "dev", "tun1"])).status, 0);
    assertEquals(
      (await cli(["session", "up", "10.1.0.1", "src", "10.0.0.1", "dev", "tun0"])).status,
      0,
    );
  });
  assertEquals(daemon.admin, [
    { dev: "tun1", src: "10.0.0.1", peer: "10.1.0.1", state: "down" },
    { dev: "tun0", src: "10.0.0.1", peer: "10.1.0.1", state: "up" },
  ]);
});

Deno.test("route add and del take iproute2's words in any order", async () => {
  const daemon = new FakeDaemon();
  daemon.routes = [route({ dst: "10.2.0.0/16" })];
  await withDaemon(daemon, async (cli) => {
    const words = [
      "dev",
      "tun0",
      "no_uninstall",
      "table",
      "100",
      "src",
      "10.0.0.1",
      "via",
      "10.0.0.2",
    ];
    const added = await cli(["route", "add", "10.2.0.0/16", ...words, "probe", "10.2.0.1"]);
    assertEquals([added.status, added.stdout], [0, ""]);
    assertStringIncludes(added.stderr, "added: 10.2.0.0/16 via 10.0.0.2 dev tun0");
    assertEquals((await cli(["route", "del", "10.2.0.0/16"])).status, 0);
    assertEquals((await cli(["route", "del", "10.9.0.0/16"])).status, 1);
    const bad = await cli(["route", "add", "nowhere", ...words]);
    assertEquals(bad.status, 2);
    assertStringIncludes(bad.stderr, '"nowhere"');
  });
  assertEquals(daemon.registered, [{
    dst: "10.2.0.0/16",
    via: "10.0.0.2",
    dev: "tun0",
    src: "10.0.0.1",
    table: 100,
    probe: "10.2.0.1",
    noUninstall: true,
  }]);
  assertEquals(daemon.withdrawn, [
    { dst: "10.2.0.0/16", via: "10.0.0.2", dev: "tun0", src: "10.0.0.1", table: 254 },
  ]);
});

Deno.test("a reader that leaves early, as head does, is no failure", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [session()];
  await withDaemon(daemon, async (cli) => {
    for (const args of [["sessions"], ["sessions", "--json"], ["status"]]) {
      assertEquals(await cli(args, { closed: true }), { status: 0, stdout: "", stderr: "" });
    }
  });
});

Deno.test("an internal error of the daemon is status 1 with the daemon's words", async () => {
  const daemon = new FakeDaemon();
  daemon.failure = new Error("secret");
  await withDaemon(daemon, async (cli) => {
    const { status, stdout, stderr } = await cli(["status"]);
    assertEquals([status, stdout], [1, ""]);
    assertStringIncludes(stderr, "the daemon's log has it");
  });
});
