import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { exposition, type Row } from "../../../src/observe/exposition.ts";
import { NO_LABELS } from "../../../src/observe/labels.ts";
import { HANDLING_BOUNDS, Histogram } from "../../../src/observe/histogram.ts";
import { LoopLag } from "../../../src/observe/loop_lag.ts";
import { Metrics } from "../../../src/observe/metrics.ts";
import type {
  EndpointMetrics,
  MetricsSource,
  PeerMetrics,
} from "../../../src/observe/metrics_source.ts";
import { readProcess } from "../../../src/observe/process_metrics.ts";
import { type ParsedFamily, parseExposition } from "./exposition_parser.ts";

/** Names, kinds and labels of the specification's section "Metrics". */
const REFERENCE: readonly [name: string, type: string, ...labels: string[]][] = [
  ["doublezero_liveness_sessions", "gauge", "iface", "local_ip", "state"],
  [
    "doublezero_liveness_session_transitions_total",
    "counter",
    "iface",
    "local_ip",
    "state_from",
    "state_to",
    "reason",
  ],
  ["doublezero_liveness_routes_installed", "gauge", "iface", "local_ip"],
  ["doublezero_liveness_route_installs_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_route_withdraws_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_route_reinstalls_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_route_install_failures_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_route_uninstall_failures_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_convergence_to_up_seconds", "histogram", "iface", "local_ip"],
  ["doublezero_liveness_convergence_to_down_seconds", "histogram", "iface", "local_ip"],
  ["doublezero_liveness_scheduler_service_queue_len", "gauge", "iface", "local_ip"],
  ["doublezero_liveness_scheduler_events_dropped_total", "counter", "iface", "local_ip", "reason"],
  ["doublezero_liveness_scheduler_total_queue_len", "gauge"],
  ["doublezero_liveness_handle_rx_duration_seconds", "histogram", "iface", "local_ip"],
  ["doublezero_liveness_control_packets_tx_total", "counter", "iface", "local_ip"],
  [
    "doublezero_liveness_control_packets_rx_total",
    "counter",
    "iface",
    "local_ip",
    "peer_client_version",
  ],
  [
    "doublezero_liveness_control_packets_rx_invalid_total",
    "counter",
    "iface",
    "local_ip",
    "reason",
  ],
  ["doublezero_liveness_unknown_peer_packets_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_read_socket_errors_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_write_socket_errors_total", "counter", "iface", "local_ip"],
  ["doublezero_liveness_sessions_map_size", "gauge"],
  ["doublezero_liveness_installed_map_size", "gauge"],
  ["doublezero_liveness_desired_map_size", "gauge"],
  ["doublezero_liveness_peer_sessions", "gauge", "iface", "local_ip", "peer_ip", "state"],
  [
    "doublezero_liveness_peer_session_detect_time_seconds",
    "gauge",
    "iface",
    "local_ip",
    "peer_ip",
  ],
  ["doublezero_route_reconcile_reinstalls_total", "counter", "local_ip"],
  ["doublezero_route_reconcile_failures_total", "counter", "local_ip"],
];

function endpoint(iface: string, localIp: string): EndpointMetrics {
  const handleRx = new Histogram(HANDLING_BOUNDS);
  handleRx.observe(3e-6);
  handleRx.observe(20);
  const convergenceToUp = new Histogram();
  convergenceToUp.observe(0.004);
  return {
    iface,
    localIp,
    sessions: { admin_down: 0, down: 1, init: 0, up: 2 },
    transitions: new Map([["new down register_route", { count: 3 }], [
      "down up handle_rx",
      { count: 2 },
    ]]),
    convergenceToUp,
    convergenceToDown: new Histogram(),
    routesInstalled: 2,
    installs: 4,
    withdraws: 2,
    reinstalls: 1,
    installFailures: 5,
    uninstallFailures: 6,
    txPackets: 1_000,
    rxByVersion: new Map([["0.1.0", { count: 900 }]]),
    rxInvalid: { short: 7, bad_len: 0 },
    unknownPeer: 8,
    readErrors: 9,
    writeErrors: 10,
    handleRx,
    serviceQueueLen: 6,
    eventsDropped: { queue_full: 11 },
    reconcileReinstalls: 1,
    reconcileFailures: 12,
  };
}

interface World {
  endpoints: EndpointMetrics[];
  peers: PeerMetrics[];
  lag: LoopLag;
}

function latenessOf(...seconds: number[]): Histogram {
  const histogram = new Histogram();
  for (const each of seconds) histogram.observe(each);
  return histogram;
}

function metricsOf(world: Partial<World>, peerMetrics = false): Metrics {
  const { endpoints = [endpoint("tun0", "10.0.0.1")], peers = [], lag = new LoopLag() } = world;
  const source: MetricsSource = {
    endpoints: () => endpoints,
    totals: () => ({ schedulerQueueLen: 6, sessions: 3, installed: 2, desired: 4 }),
    peers: () => peers,
    kernel: { requests: 20, dumps: 2 },
    loopLag: lag.histogram,
    txLateness: latenessOf(0.004),
    detectLateness: latenessOf(0.02, 0.03),
    takeLagMax: () => lag.takeMax(),
    externalChanges: () => new Map([["systemd-network", { count: 3 }]]),
    extra: () => [{ name: "log_lines_lost", help: "lines lost", value: 13 }],
  };
  return new Metrics({
    source,
    peerMetrics,
    build: { version: "1.2.3", deno: "2.9.6", v8: "14" },
    process: () => ({
      cpuSeconds: 1.5,
      residentBytes: 1e6,
      heapBytes: 2e5,
      startTime: 1_700_000_000,
      openFds: 12,
    }),
  });
}

/** All slices, the last one too. */
async function slicesOf(scrape: AsyncGenerator<string, string, void>): Promise<string[]> {
  const slices: string[] = [];
  for (;;) {
    const next = await scrape.next();
    slices.push(next.value);
    if (next.done) return slices;
  }
}

async function scrape(metrics: Metrics): Promise<Map<string, ParsedFamily>> {
  return parseExposition((await slicesOf(metrics.scrape())).join(""));
}

function valueOf(
  families: Map<string, ParsedFamily>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ""));
  return family?.samples.find((sample) =>
    sample.name === name &&
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  )?.value;
}

const peer: PeerMetrics = {
  iface: "tun0",
  localIp: "10.0.0.1",
  peerIp: "10.0.0.2",
  state: "up",
  detectTimeUs: 900_000,
};

Deno.test("every metric of the reference is exported with its name, kind and labels", async () => {
  const families = await scrape(metricsOf({ peers: [peer] }, true));
  for (const [name, type, ...labels] of REFERENCE) {
    const family = families.get(name);
    assertEquals(family?.type, type, name);
    const first = family!.samples[0]!;
    const given = Object.keys(first.labels).filter((label) => label !== "le");
    assertEquals(given.toSorted(), labels.toSorted(), name);
  }
});

Deno.test("counters and gauges carry the numbers that were counted", async () => {
  const families = await scrape(metricsOf({}));
  const at = { iface: "tun0", local_ip: "10.0.0.1" };
  const prefix = "doublezero_liveness_";
  const expected: [string, Record<string, string>, number][] = [
    ["sessions", { ...at, state: "up" }, 2],
    ["sessions", { ...at, state: "admin_down" }, 0],
    [
      "session_transitions_total",
      { ...at, state_from: "new", state_to: "down", reason: "register_route" },
      3,
    ],
    ["routes_installed", at, 2],
    ["route_installs_total", at, 4],
    ["route_withdraws_total", at, 2],
    ["route_reinstalls_total", at, 1],
    ["route_install_failures_total", at, 5],
    ["route_uninstall_failures_total", at, 6],
    ["control_packets_tx_total", at, 1_000],
    ["control_packets_rx_total", { ...at, peer_client_version: "0.1.0" }, 900],
    ["control_packets_rx_invalid_total", { ...at, reason: "short" }, 7],
    ["unknown_peer_packets_total", at, 8],
    ["read_socket_errors_total", at, 9],
    ["write_socket_errors_total", at, 10],
    ["scheduler_service_queue_len", at, 6],
    ["scheduler_events_dropped_total", { ...at, reason: "queue_full" }, 11],
    ["scheduler_total_queue_len", {}, 6],
    ["sessions_map_size", {}, 3],
    ["installed_map_size", {}, 2],
    ["desired_map_size", {}, 4],
  ];
  for (const [name, labels, value] of expected) {
    assertEquals(valueOf(families, prefix + name, labels), value, name);
  }
  assertEquals(valueOf(families, "livenessd_build_info", { version: "1.2.3", deno: "2.9.6" }), 1);
  assertEquals(valueOf(families, "livenessd_log_lines_lost_total"), 13);
  const by = { command: "systemd-network" };
  assertEquals(valueOf(families, "livenessd_route_external_changes_total", by), 3);
  assertEquals(valueOf(families, "livenessd_tx_lateness_seconds_bucket", { le: "0.005" }), 1);
  assertEquals(valueOf(families, "livenessd_detect_lateness_seconds_bucket", { le: "0.025" }), 1);
  assertEquals(valueOf(families, "livenessd_detect_lateness_seconds_count"), 2);
  assertEquals(valueOf(families, "process_cpu_seconds_total"), 1.5);
  assertEquals(valueOf(families, "process_open_fds"), 12);
});

Deno.test("reconciliation counts of one address on several interfaces are summed", async () => {
  const endpoints = [endpoint("tun0", "10.0.0.1"), endpoint("tun1", "10.0.0.1")];
  const families = await scrape(metricsOf({ endpoints }));
  const labels = { local_ip: "10.0.0.1" };
  assertEquals(valueOf(families, "doublezero_route_reconcile_reinstalls_total", labels), 2);
  assertEquals(valueOf(families, "doublezero_route_reconcile_failures_total", labels), 24);
});

Deno.test("a histogram is cumulative and keeps what lies above its last bound", async () => {
  const families = await scrape(metricsOf({}));
  const name = "doublezero_liveness_handle_rx_duration_seconds";
  const bucket = (le: string) => valueOf(families, `${name}_bucket`, { le });
  assertEquals([bucket("0.0000025"), bucket("0.000005"), bucket("10"), bucket("+Inf")], [
    0,
    1,
    1,
    2,
  ]);
  assertEquals(valueOf(families, `${name}_sum`), 20.000003);
  assertEquals(valueOf(families, `${name}_count`), 2);
});

Deno.test("peers are exported on request only", async () => {
  const without = await scrape(metricsOf({ peers: [peer] }));
  assert(!without.has("doublezero_liveness_peer_sessions"));
  const families = await scrape(metricsOf({ peers: [peer] }, true));
  const states = (state: string) =>
    valueOf(families, "doublezero_liveness_peer_sessions", { peer_ip: "10.0.0.2", state });
  assertEquals([states("up"), states("down")], [1, 0]);
  const detect = "doublezero_liveness_peer_session_detect_time_seconds";
  assertEquals(valueOf(families, detect, { peer_ip: "10.0.0.2" }), 0.9);
});

Deno.test("thousands of peers come in slices that make one well-formed exposition", async () => {
  const peers = Array.from({ length: 3_000 }, (_, i) => ({ ...peer, peerIp: `10.1.0.${i}` }));
  const chunks = await slicesOf(metricsOf({ peers }, true).scrape());
  assert(chunks.length >= 15, `${chunks.length} chunks`);
  const text = chunks.join("");
  assertEquals(text.match(/^# TYPE doublezero_liveness_peer_sessions /gm)?.length, 1);
  assert(!text.includes("\n\n"), "an empty line");
  const families = parseExposition(text);
  assertEquals(families.get("doublezero_liveness_peer_sessions")?.samples.length, 12_000);
});

Deno.test("the maximum loop lag is that since the last scrape, the histogram that since the start", async () => {
  const lag = new LoopLag();
  const metrics = metricsOf({ lag });
  lag.observe(0.02);
  lag.observe(0.3);
  const first = await scrape(metrics);
  lag.observe(0.01);
  const second = await scrape(metrics);
  assertEquals(valueOf(first, "livenessd_loop_lag_max_seconds"), 0.3);
  assertEquals(valueOf(second, "livenessd_loop_lag_max_seconds"), 0.01);
  assertEquals(valueOf(second, "livenessd_loop_lag_seconds_count"), 3);
  assertEquals(lag.max, 0.3);
});

Deno.test("label values cannot break the format", async () => {
  const odd = 'a "b" \\ c\nd';
  const rows: Row[] = [{
    labels: { once: odd },
    sharedLabels: NO_LABELS.with("kept", odd).values,
    value: 1,
  }];
  const family = { name: "x", help: "h", type: "gauge" as const, rows: () => [rows] };
  const text = (await slicesOf(exposition([family]))).join("");
  const labels = { once: odd, kept: odd };
  assertEquals(parseExposition(text).get("x")?.samples, [{ name: "x", labels, value: 1 }]);
});

Deno.test("two metrics of one name are refused", async () => {
  const family = { name: "x", help: "h", type: "gauge" as const, rows: () => [] };
  await assertRejects(
    () => slicesOf(exposition([family, family])),
    Error,
    "x is defined twice",
  );
});

Deno.test("a second scrape says what changed, under the labels of the first", async () => {
  const end = endpoint("tun0", "10.0.0.1");
  const endpoints = [end, endpoint("tun1", "10.0.0.1")];
  const metrics = metricsOf({ endpoints });
  const first = await slicesOf(metrics.scrape());
  assertEquals(await slicesOf(metrics.scrape()), first);
  assertEquals(first.length, 1);
  endpoints.shift();
  const gone = (await slicesOf(metrics.scrape())).join("");
  assert(!gone.includes("tun0") && gone.includes("tun1"));
  endpoints.unshift({ ...end, installs: 4_711 });
  const name = "doublezero_liveness_route_installs_total";
  assertEquals(valueOf(await scrape(metrics), name, { iface: "tun0" }), 4_711);
});

Deno.test("kept labels are one object, in the order in which they were put together", () => {
  const labels = NO_LABELS.with("b", "1").with("a", 0.5);
  assertEquals(NO_LABELS.with("b", "1").with("a", 0.5), labels);
  assert(NO_LABELS.with("b", "1").with("a", 0.5).values === labels.values);
  assertEquals(Object.entries(labels.values), [["b", "1"], ["a", 0.5]]);
});

Deno.test("open files are counted", () => {
  const before = readProcess().openFds!;
  const files = Array.from({ length: 5 }, () => Deno.openSync("/dev/null"));
  assertEquals(readProcess().openFds, before + 5);
  for (const file of files) file.close();
});

Deno.test("a histogram takes only bounds that ascend, and counts the odd as nothing", () => {
  assertThrows(() => new Histogram([1, 1]), RangeError, "must ascend");
  const histogram = new Histogram([1, 2]);
  for (const seconds of [-1, NaN, 1, 2, 2.5]) histogram.observe(seconds);
  assertEquals([...histogram.counts], [3, 1, 1]);
  assertEquals(histogram.sum, 5.5);
});
