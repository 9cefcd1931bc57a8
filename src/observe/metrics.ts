import { exposition, type Family, histogramRows, type Row, row } from "./exposition.ts";
import type { HistogramData } from "./histogram.ts";
import { Labels, NO_LABELS } from "./labels.ts";
import type {
  Count,
  EndpointMetrics,
  MetricsSource,
  PeerMetrics,
  SessionStateName,
} from "./metrics_source.ts";
import { processFamilies, type ProcessReader } from "./process_metrics.ts";

const PREFIX = "doublezero_liveness_";
const STATES: readonly SessionStateName[] = ["admin_down", "down", "init", "up"];

/** What is counted for one endpoint, and its labels. */
interface End {
  readonly counted: EndpointMetrics;
  readonly labels: Labels;
}

export interface MetricsOptions {
  readonly source: MetricsSource;
  /** Export one set of series for each peer. */
  readonly peerMetrics: boolean;
  /** What `livenessd_build_info` tells. */
  readonly build: Readonly<Record<"version" | "deno" | "v8", string>>;
  readonly process: ProcessReader;
}

/** Prometheus' view of the daemon. Costs nothing until it is scraped. */
export class Metrics {
  readonly #options: MetricsOptions;
  readonly #build: Labels;
  /** By `"IFACE LOCAL_IP"`: those of the last scrape. */
  #labels = new Map<string, Labels>();

  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#build = new Labels(options.build);
  }

  /**
   * One scrape, a slice at a time, each a matter of milliseconds; the last slice is returned. Starts the
   * next lag-max period.
   */
  scrape(): AsyncGenerator<string, string, void> {
    return exposition(this.#families());
  }

  *#families(): Iterable<Family> {
    const { source, peerMetrics, process } = this.#options;
    yield* endpointFamilies(this.#ends());
    yield* totalFamilies(source);
    if (peerMetrics) yield* peerFamilies(source);
    yield* ownFamilies(source);
    const help = "Always 1; the labels tell the build.";
    yield single("livenessd_build_info", "gauge", help, 1, this.#build);
    yield* processFamilies(process);
  }

  #ends(): End[] {
    const former = this.#labels;
    this.#labels = new Map();
    return Array.from(this.#options.source.endpoints(), (counted) => {
      const { iface, localIp: local_ip } = counted;
      const key = `${iface} ${local_ip}`;
      const labels = former.get(key) ?? new Labels({ iface, local_ip });
      this.#labels.set(key, labels);
      return { counted, labels };
    });
  }
}

function* endpointFamilies(ends: readonly End[]): Iterable<Family> {
  const each = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    value: (endpoint: EndpointMetrics) => number,
  ) => perEndpoint(ends, name, type, help, (e, labels) => [row(labels, value(e))]);
  const histogram = (
    name: string,
    help: string,
    data: (endpoint: EndpointMetrics) => HistogramData,
  ) =>
    perEndpoint(
      ends,
      name,
      "histogram",
      help,
      (e, labels) => histogramRows(PREFIX + name, labels, data(e)),
    );

  yield perEndpoint(
    ends,
    "sessions",
    "gauge",
    "Sessions by state.",
    (e, labels) => STATES.map((state) => row(labels.with("state", state), e.sessions[state])),
  );
  yield perEndpoint(
    ends,
    "session_transitions_total",
    "counter",
    "State transitions of sessions.",
    (e, labels) => Array.from(e.transitions, ([key, count]) => transitionRow(labels, key, count)),
  );
  yield each(
    "routes_installed",
    "gauge",
    "Routes that the kernel confirmed.",
    (e) => e.routesInstalled,
  );
  yield each("route_installs_total", "counter", "Routes installed.", (e) => e.installs);
  yield each("route_withdraws_total", "counter", "Routes withdrawn.", (e) => e.withdraws);
  yield each(
    "route_reinstalls_total",
    "counter",
    "Routes put back that had vanished.",
    (e) => e.reinstalls,
  );
  yield each(
    "route_install_failures_total",
    "counter",
    "Installs that the kernel refused.",
    (e) => e.installFailures,
  );
  yield each(
    "route_uninstall_failures_total",
    "counter",
    "Deletes that the kernel refused.",
    (e) => e.uninstallFailures,
  );
  yield histogram(
    "convergence_to_up_seconds",
    "From the first packet while down until up.",
    (e) => e.convergenceToUp,
  );
  yield histogram(
    "convergence_to_down_seconds",
    "From the first missing or condemning packet while up until down.",
    (e) => e.convergenceToDown,
  );
  yield each(
    "scheduler_service_queue_len",
    "gauge",
    "Timers armed for one endpoint.",
    (e) => e.serviceQueueLen,
  );
  yield perEndpoint(
    ends,
    "scheduler_events_dropped_total",
    "counter",
    "Detection work dropped by the queue's bound.",
    (e, labels) => byReason(labels, e.eventsDropped),
  );
  yield histogram(
    "handle_rx_duration_seconds",
    "Time to handle a valid packet.",
    (e) => e.handleRx,
  );
  yield each("control_packets_tx_total", "counter", "Control packets sent.", (e) => e.txPackets);
  yield perEndpoint(
    ends,
    "control_packets_rx_total",
    "counter",
    "Valid control packets received.",
    (e, labels) =>
      Array.from(
        e.rxByVersion,
        ([version, { count }]) => row(labels.with("peer_client_version", version), count),
      ),
  );
  yield perEndpoint(
    ends,
    "control_packets_rx_invalid_total",
    "counter",
    "Packets refused, by reason.",
    (e, labels) => byReason(labels, e.rxInvalid),
  );
  yield each(
    "unknown_peer_packets_total",
    "counter",
    "Valid packets that belong to no session.",
    (e) => e.unknownPeer,
  );
  yield each(
    "read_socket_errors_total",
    "counter",
    "Failed receives.",
    (e) => e.readErrors,
  );
  yield each("write_socket_errors_total", "counter", "Failed sends.", (e) => e.writeErrors);
  yield* reconcileFamilies(ends);
}

// These two have no label `iface`: the endpoints of one address on several interfaces are summed.
function* reconcileFamilies(ends: readonly End[]): Iterable<Family> {
  const summed = (name: string, help: string, value: (e: EndpointMetrics) => number): Family => ({
    name: `doublezero_route_reconcile_${name}`,
    help,
    type: "counter",
    *rows() {
      const sums = new Map<string, number>();
      for (const { counted } of ends) {
        sums.set(counted.localIp, (sums.get(counted.localIp) ?? 0) + value(counted));
      }
      for (const [local_ip, value] of sums) {
        yield [{ labels: { local_ip }, sharedLabels: NO_LABELS.values, value }];
      }
    },
  });
  yield summed(
    "reinstalls_total",
    "Routes that a sweep put back.",
    (e) => e.reconcileReinstalls,
  );
  yield summed(
    "failures_total",
    "Routes that a sweep could not put back.",
    (e) => e.reconcileFailures,
  );
}

function* totalFamilies(source: MetricsSource): Iterable<Family> {
  const totals = source.totals();
  const gauge = (name: string, help: string, value: number) =>
    single(PREFIX + name, "gauge", help, value);
  yield gauge("scheduler_total_queue_len", "Timers armed.", totals.schedulerQueueLen);
  yield gauge("sessions_map_size", "Sessions known.", totals.sessions);
  yield gauge("installed_map_size", "Routes that the kernel confirmed.", totals.installed);
  yield gauge("desired_map_size", "Routes wanted.", totals.desired);
}

function* peerFamilies(source: MetricsSource): Iterable<Family> {
  const labelsOf = (p: PeerMetrics) => ({ iface: p.iface, local_ip: p.localIp, peer_ip: p.peerIp });
  yield {
    name: `${PREFIX}peer_sessions`,
    help: "Whether the session with a peer is in a state.",
    type: "gauge",
    *rows() {
      for (const peer of source.peers()) {
        const labels = labelsOf(peer);
        yield STATES.map((state) => ({
          labels,
          sharedLabels: NO_LABELS.with("state", state).values,
          value: peer.state === state ? 1 : 0,
        }));
      }
    },
  };
  yield {
    name: `${PREFIX}peer_session_detect_time_seconds`,
    help: "Detect time of the session with a peer.",
    type: "gauge",
    *rows() {
      for (const peer of source.peers()) {
        const value = peer.detectTimeUs / 1e6;
        yield [{ labels: labelsOf(peer), sharedLabels: NO_LABELS.values, value }];
      }
    },
  };
}

function* ownFamilies(source: MetricsSource): Iterable<Family> {
  yield lateness("loop_lag", "How late the loop ran.", source.loopLag);
  yield lateness("tx_lateness", "How late packets were sent; a sample.", source.txLateness);
  yield lateness(
    "detect_lateness",
    "How late silent sessions were declared down, after their detect time.",
    source.detectLateness,
  );
  yield single(
    "livenessd_loop_lag_max_seconds",
    "gauge",
    "The latest that the loop ran since the last scrape.",
    source.takeLagMax(),
  );
  const { kernel } = source;
  const counter = (name: string, help: string, value: number) =>
    single(`livenessd_${name}_total`, "counter", help, value);
  yield counter("kernel_requests", "Requests to the kernel's routing table.", kernel.requests);
  yield counter("kernel_dumps", "Listings of the kernel's routes.", kernel.dumps);
  yield externalChanges(source);
  for (const { name, help, value } of source.extra()) yield counter(name, help, value);
}

function externalChanges(source: MetricsSource): Family {
  const name = "livenessd_route_external_changes_total";
  return {
    name,
    help: "Routes of ours that another process removed or replaced, by its command name.",
    type: "counter",
    rows: () => [
      Array.from(
        source.externalChanges(),
        ([command, { count }]) => row(NO_LABELS.with("command", command), count),
      ),
    ],
  };
}

function lateness(what: string, help: string, data: HistogramData): Family {
  const name = `livenessd_${what}_seconds`;
  return { name, help, type: "histogram", rows: () => [histogramRows(name, NO_LABELS, data)] };
}

function perEndpoint(
  ends: readonly End[],
  name: string,
  type: Family["type"],
  help: string,
  rowsOf: (endpoint: EndpointMetrics, labels: Labels) => Row[],
): Family {
  return {
    name: PREFIX + name,
    help,
    type,
    *rows() {
      for (const { counted, labels } of ends) yield rowsOf(counted, labels);
    },
  };
}

function single(
  name: string,
  type: "counter" | "gauge",
  help: string,
  value: number,
  labels = NO_LABELS,
): Family {
  return { name, type, help, rows: () => [[row(labels, value)]] };
}

function byReason(labels: Labels, counts: Readonly<Record<string, number>>): Row[] {
  return Object.entries(counts).map(([reason, value]) => row(labels.with("reason", reason), value));
}

function transitionRow(labels: Labels, key: string, { count }: Count): Row {
  const [from = "", to = "", ...reason] = key.split(" ");
  const states = labels.with("state_from", from).with("state_to", to);
  return row(states.with("reason", reason.join(" ")), count);
}
