import type { Kernel } from "../kernel/kernel.ts";
import type { LocalEnd } from "../manager/local_end.ts";
import type { Manager } from "../manager/manager.ts";
import type { LoopLag } from "../observe/loop_lag.ts";
import type { EndpointMetrics, MetricsSource, PeerMetrics } from "../observe/metrics_source.ts";
import { STATE_NAMES } from "../protocol/packet.ts";
import { failureCounts, type FailureSources } from "./failures.ts";

/** Shows the daemon's counters to the metrics registry, in its words. Reads; computes next to nothing. */
export function metricsSource(
  manager: Manager,
  kernel: Kernel,
  lag: LoopLag,
  failures: FailureSources,
): MetricsSource {
  return {
    *endpoints() {
      for (const end of manager.table.ends()) yield endpointMetrics(end);
    },
    totals: () => ({
      schedulerQueueLen: manager.wheel.armed,
      sessions: manager.table.size,
      installed: manager.book.installedCount,
      desired: manager.book.size,
    }),
    peers: () => peerMetrics(manager),
    kernel: kernel.counters,
    loopLag: lag.histogram,
    txLateness: manager.txLateness,
    detectLateness: manager.detectLateness,
    takeLagMax: () => lag.takeMax(),
    externalChanges: () => manager.watch.byCommand,
    *extra() {
      for (const { name, meaning, count } of failureCounts(failures)) {
        yield { name, help: `${meaning}.`, value: count };
      }
    },
  };
}

function endpointMetrics(end: LocalEnd): EndpointMetrics {
  const { counters, endpoint } = end;
  const { down, init, up } = counters.sessions;
  return {
    ...counters,
    iface: end.dev,
    localIp: end.address,
    convergenceToUp: end.convergenceToUp,
    convergenceToDown: end.convergenceToDown,
    handleRx: end.handleRx,
    readErrors: endpoint.counters.readErrors,
    writeErrors: endpoint.counters.writeErrors,
    // Each session has one TX timer, and one detect timer once the peer was heard: counted, not scanned.
    serviceQueueLen: down + 2 * (init + up),
    eventsDropped: { max_events: counters.eventsPostponed },
  };
}

function* peerMetrics(manager: Manager): Iterable<PeerMetrics> {
  for (const { end, peer, session } of manager.table.sessions()) {
    yield {
      iface: end.dev,
      localIp: end.address,
      peerIp: peer,
      state: STATE_NAMES[session.state],
      detectTimeUs: session.detectTimeUs,
    };
  }
}
