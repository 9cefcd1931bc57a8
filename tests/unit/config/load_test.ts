import { assertEquals, assertStringIncludes } from "@std/assert";
import { accepted, OPTIONS, refused, route, routes, warned } from "./support.ts";
import { loadConfig } from "../../../src/config/load.ts";

Deno.test("an empty mapping means the defaults of the protocol's description", () => {
  assertEquals(accepted("{}"), {
    mode: "passive",
    liveness: {
      bind: "0.0.0.0",
      port: 44880,
      txMinUs: 1_000_000,
      rxMinUs: 1_000_000,
      detectMult: 3,
      minTxFloorUs: 50_000,
      maxTxCeilUs: 3_000_000,
      backoffMaxUs: 60_000_000,
      maxEvents: 10_240,
      honorPeerPassive: true,
      clientVersion: "0.1.0",
    },
    kernel: { protocol: 186, reconcileIntervalUs: 30_000_000, onShutdown: "keep" },
    routes: [],
    probePath: { table: 44880, mark: 44880, rulePriority: 90 },
    exclude: [],
    metrics: { listen: null, peerMetrics: false },
    api: { socket: "/run/livenessd/livenessd.sock", group: null },
    state: { file: "/run/livenessd/livenessd.state.json" },
    log: { level: "info", format: null },
  });
});

Deno.test("a file without settings is refused, also with overrides", () => {
  const message =
    't.yaml: got a file without settings, expected at least one setting, for example "mode: active" ' +
    "({} if all defaults are meant)";
  for (const text of ["", "# comments\n", "---\n", "null\n"]) {
    assertEquals(refused(text, { overrides: ["mode=active"] }), [message]);
  }
});

Deno.test("a text that is no mapping is refused", () => {
  assertEquals(refused("just words\n"), [
    't.yaml:1:1: got "just words", expected a mapping (indented lines of "key: value")',
  ]);
  assertEquals(refused("- a\n- b\n"), [
    't.yaml:1:1: got a list of 2, expected a mapping (indented lines of "key: value")',
  ]);
});

Deno.test("a list is no mapping, even an empty one", () => {
  const mapping = 'expected a mapping (indented lines of "key: value")';
  assertEquals(refused("liveness: []\nroutes: [[], [1]]\n"), [
    `t.yaml:1:1: liveness: got a list of 0, ${mapping}`,
    `t.yaml:2:10: routes[0]: got a list of 0, ${mapping}`,
    `t.yaml:2:14: routes[1]: got a list of 1, ${mapping}`,
  ]);
});

Deno.test("sections and lists with nothing under them count as left out", () => {
  const empty = "liveness:\nkernel:\nroutes:\nprobe_path:\nexclude:\nmetrics:\napi:\nlog:\n";
  assertEquals(accepted(empty), accepted("{}"));
});

Deno.test("a route is completed: main table, probe of a host route, canonical prefix", () => {
  const expected = {
    dst: "10.1.0.1/32",
    via: "10.0.0.2",
    dev: "tun0",
    src: "10.0.0.1",
    table: 254,
    probe: "10.1.0.1",
    noUninstall: false,
  };
  assertEquals(accepted(routes(route())).routes, [expected]);
  assertEquals(accepted(routes(route({ dst: "10.1.0.1" }))).routes, [expected]);
  const other = { dst: "0.0.0.0/0", probe: "1.1.1.1", table: 100, no_uninstall: "true" };
  assertEquals(accepted(routes(route(other))).routes, [
    { ...expected, dst: "0.0.0.0/0", probe: "1.1.1.1", table: 100, noUninstall: true },
  ]);
});

Deno.test("every problem of a file is reported in one go, with its place, in reading order", () => {
  const text = `mode: on
tx_min: 3s
liveness:
  port: 70000
  rx_min: 5
  tx-min: 1s
  detect_mult: 2.5
  max_tx_ceil: 10ms
kernel: {protocol: bpg}
routes:
  - dst: 10.1.0.7/16
    via: 10.0.0
    dev: 100
    tble: main
  - five
exclude: 10.0.0.1
log:
  format:
`;
  const sections =
    "mode, liveness, kernel, routes, probe_path, exclude, route_config, metrics, api, state, log";
  const protocol =
    "bind, port, tx_min, rx_min, detect_mult, min_tx_floor, max_tx_ceil, backoff_max, max_events, " +
    "honor_peer_passive, client_version";
  assertEquals(refused(text), [
    't.yaml:1:1: mode: got "on", expected active or passive',
    `t.yaml:2:1: tx_min: got the unknown key "tx_min", expected one of ${sections} (tx_min belongs under liveness)`,
    "t.yaml:4:3: liveness.port: got 70000, expected a whole number from 0 to 65535",
    "t.yaml:5:3: liveness.rx_min: got 5, expected a duration above 0 up to 1h11m34.967295s, " +
    "such as 300ms or 1m30s (it needs a unit: ms, s, m or h)",
    `t.yaml:6:3: liveness.tx-min: got the unknown key "tx-min", expected one of ${protocol} (did you mean "tx_min"?)`,
    "t.yaml:7:3: liveness.detect_mult: got 2.5, expected a whole number from 1 to 255",
    't.yaml:8:3: liveness.max_tx_ceil: got "10ms", expected at least liveness.min_tx_floor (50ms)',
    't.yaml:9:10: kernel.protocol: got "bpg", expected a number or a known name: redirect, kernel, boot, static, ' +
    'gated, ra, mrt, zebra, ... (did you mean "bgp"? no /etc/iproute2/rt_protos on this host: built-in names only)',
    't.yaml:11:5: routes[0].dst: got "10.1.0.7/16", expected an IPv4 prefix such as 10.1.0.0/16 or 10.1.0.1/32 ' +
    "(it has bits set behind its length; did you mean 10.1.0.0/16?)",
    "t.yaml:11:5: routes[0].src: got nothing, expected an IPv4 address such as 10.0.0.1",
    't.yaml:12:5: routes[0].via: got "10.0.0", expected an IPv4 address such as 10.0.0.2',
    "t.yaml:13:5: routes[0].dev: got 100, expected an interface name: 1 to 15 bytes without white space, " +
    'slash or colon (quote it: "100")',
    't.yaml:14:5: routes[0].tble: got the unknown key "tble", expected one of ' +
    'dst, via, dev, src, table, probe, no_uninstall (did you mean "table"?)',
    't.yaml:15:5: routes[1]: got "five", expected a mapping (indented lines of "key: value")',
    't.yaml:16:1: exclude: got "10.0.0.1", expected a list (lines that start with "- ")',
    "t.yaml:18:3: log.format: got nothing, expected json or text",
  ]);
});

/** Settings that are refused, and what is said to be allowed. */
const BAD: Record<string, string> = {
  "mode: 1": "active or passive",
  "liveness: {bind: 10.0.0.0/8}": "an IPv4 address such as 10.0.0.1",
  "liveness: {bind: 010.0.0.1}": "an IPv4 address such as 10.0.0.1",
  "liveness: {bind: '::1'}": "an IPv4 address such as 10.0.0.1",
  "liveness: {port: -1}": "a whole number from 0 to 65535",
  "liveness: {port: '44880'}": "a whole number from 0 to 65535",
  "liveness: {port: .nan}": "a whole number from 0 to 65535",
  "liveness: {detect_mult: 0}": "a whole number from 1 to 255",
  "liveness: {detect_mult: 256}": "a whole number from 1 to 255",
  "liveness: {tx_min: 0}": "a duration above 0",
  "liveness: {tx_min: 0s}": "a duration above 0",
  "liveness: {tx_min: 2h}": "a duration above 0 up to 1h11m34.967295s",
  "liveness: {max_events: 0}": "a whole number from 1",
  "liveness: {honor_peer_passive: 'yes'}": "true or false",
  "liveness: {client_version: 1.0}": "MAJOR.MINOR.PATCH",
  "liveness: {client_version: 1.256.0}": "MAJOR.MINOR.PATCH",
  "kernel: {protocol: 256}": "a name of /etc/iproute2/rt_protos or a whole number from 1 to 255",
  "kernel: {protocol: 0}": "a name of /etc/iproute2/rt_protos or a whole number from 1 to 255",
  "kernel: {protocol: kernel}": "a routing daemon's protocol, such as bgp",
  "kernel: {reconcile_interval: -30s}": "a duration of 0 (never) up to 24h",
  "kernel: {reconcile_interval: 30}": "a duration of 0 (never) up to 24h",
  "kernel: {on_shutdown: drop}": "keep or withdraw",
  "probe_path: {table: main}": "a table of its own, such as 44880",
  "probe_path: {table: 255}": "a table of its own, such as 44880",
  "probe_path: {mark: 0}": "a whole number from 1 to 4294967295",
  "probe_path: {rule_priority: 32766}": "a whole number from 1 to 32765",
  "exclude: [10.0.0.0/8]": "an IPv4 address such as 10.1.0.9",
  "metrics: {listen: 9144}": "ADDRESS:PORT",
  "metrics: {listen: '127.0.0.1:65536'}": "ADDRESS:PORT",
  "metrics: {listen: '::1:9144'}": "ADDRESS:PORT",
  "metrics: {listen: 'example.com:80'}": "ADDRESS:PORT",
  "api: {socket: ''}": "the path of a Unix socket, 1 to 107 bytes",
  [`api: {socket: /${"x".repeat(107)}}`]: "the path of a Unix socket, 1 to 107 bytes",
  "api: {group: ''}": "a group's name",
  "state: {file: state.json}": "off or the absolute path of a file",
  "state: {file: /run/livenessd/livenessd.sock}": "another path than api.socket, or off",
  "state: {file: /run/livenessd/}": "off or the absolute path of a file",
  "log: {level: trace}": "debug, info, warn or error",
  "route_config: x.json": "no second file where only a text is read",
};

Deno.test("each setting refuses what it does not allow and says what it allows", () => {
  for (const [text, allowed] of Object.entries(BAD)) {
    const problems = refused(`${text}\n`);
    assertEquals(problems.length, 1, problems.join("\n"));
    assertStringIncludes(problems[0]!, `, expected ${allowed}`);
  }
});

Deno.test("bounds belong to what is allowed", () => {
  const { liveness, kernel } = accepted(
    "liveness: {port: 0, detect_mult: 255, tx_min: 1us, rx_min: 1h11m34.967295s, min_tx_floor: 1us,\n" +
      "  max_tx_ceil: 4294967295us, client_version: 255.255.255-rc}\nkernel: {reconcile_interval: 0}\n",
  );
  assertEquals([liveness.port, liveness.detectMult, liveness.txMinUs], [0, 255, 1]);
  assertEquals([liveness.rxMinUs, liveness.maxTxCeilUs], [0xffff_ffff, 0xffff_ffff]);
  assertEquals([liveness.clientVersion, kernel.reconcileIntervalUs], ["255.255.255-rc", 0]);
});

Deno.test("tables and protocols have names or numbers, also in quotes", () => {
  const table = (value: string) => accepted(routes(route({ table: value }))).routes[0]?.table;
  assertEquals([table("main"), table("default"), table("100"), table('"100"')], [
    254,
    253,
    100,
    100,
  ]);
  assertEquals(accepted("kernel: {protocol: bird}").kernel.protocol, 12);
  assertEquals(accepted("kernel: {protocol: 200}").kernel.protocol, 200);
});

Deno.test("the state file lies beside the socket unless it is named or switched off", () => {
  const file = (text: string) => accepted(text).state.file;
  assertEquals(file("api: {socket: /run/a.sock}"), "/run/a.state.json");
  assertEquals(file("api: {socket: /run/a.sock/b}"), "/run/a.sock/b.state.json");
  assertEquals(file("state: {file: /var/lib/s}"), "/var/lib/s");
  assertEquals(file("state: {file: off}"), null);
});

Deno.test("addresses to listen on are IPv4, bracketed IPv6 or localhost", () => {
  const listen = (text: string) => accepted(`metrics: {listen: "${text}"}`).metrics.listen;
  assertEquals(listen("127.0.0.1:9144"), { hostname: "127.0.0.1", port: 9144 });
  assertEquals(listen("[::1]:0"), { hostname: "::1", port: 0 });
  assertEquals(listen("localhost:80"), { hostname: "localhost", port: 80 });
});

Deno.test("excluded addresses of both files are joined, each once", () => {
  const paths: string[] = [];
  const readFile = (path: string) => {
    paths.push(path);
    return { ok: true, text: '{\n\t"exclude": ["10.1.0.9", "10.1.0.10"]\n}\n' } as const;
  };
  const text = "exclude: [10.1.0.9]\nroute_config: lists/route-config.json\n";
  const result = loadConfig(text, "/etc/livenessd/livenessd.yaml", { ...OPTIONS, readFile });
  assertEquals(result.ok && result.config.exclude, ["10.1.0.9", "10.1.0.10"]);
  assertEquals(paths, ["/etc/livenessd/lists/route-config.json"]);
});

Deno.test("problems of the second file name it and its lines", () => {
  const readFile = () =>
    ({ ok: true, text: '{\n  "excludes": [],\n  "exclude": ["x"]\n}' }) as const;
  assertEquals(refused("route_config: /r.json\n", { readFile }), [
    '/r.json:2:3: excludes: got the unknown key "excludes", expected one of exclude (did you mean "exclude"?)',
    '/r.json:3:15: exclude[0]: got "x", expected an IPv4 address such as 10.1.0.9',
  ]);
});

Deno.test("a protocol that others use is warned of", () => {
  assertEquals(warned("kernel: {protocol: static}"), [
    't.yaml:1:10: kernel.protocol: got "static", expected a protocol that no one else uses here, such as bgp ' +
    "(administrators and address configuration add routes with this one)",
  ]);
  assertEquals(warned("kernel: {protocol: 186}"), []);
});
