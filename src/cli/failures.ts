import type { FailureCount } from "../api/status.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LocalEnd } from "../manager/local_end.ts";
import type { Manager } from "../manager/manager.ts";

/** Where failures are counted. */
export interface FailureSources {
  readonly manager: Manager;
  readonly kernel: Kernel;
  /** Log lines lost because nobody read them fast enough. */
  readonly logLinesLost: () => number;
  /** Exceptions that reached the top; each is a defect. */
  readonly internalErrors: () => number;
}

/** Every failure that is counted anywhere, by name and meaning: what `status` shows and metrics export. */
export function failureCounts(sources: FailureSources): FailureCount[] {
  const { manager, kernel } = sources;
  const ends = [...manager.table.ends()];
  const sum = (count: (end: LocalEnd) => number) => ends.reduce((n, end) => n + count(end), 0);
  const { loop, reconciler, probePath } = manager;
  const rows: [name: string, count: number, meaning: string][] = [
    ["packets_invalid", sum(invalid), "datagrams that are no control packets"],
    [
      "packets_unknown_peer",
      manager.counts().unknownPeerPackets,
      "packets of hosts without a session",
    ],
    [
      "packets_foreign_discriminator",
      sum((end) => end.counters.foreignDiscriminator),
      "packets that name a session which is not ours",
    ],
    ["socket_read_errors", sum((end) => end.endpoint.counters.readErrors), "failed receive calls"],
    ["socket_write_errors", sum((end) => end.endpoint.counters.writeErrors), "packets not sent"],
    [
      "socket_refused",
      sum((end) => end.endpoint.counters.connectionRefused),
      "packets that the peer's host or a router refused (among the packets not sent)",
    ],
    [
      "socket_no_buffers",
      sum((end) => end.endpoint.counters.noBuffers),
      "packets that found the interface's queue full (among the packets not sent)",
    ],
    [
      "socket_open_errors",
      sum((end) => end.endpoint.counters.openErrors),
      "sockets that did not open",
    ],
    ["routes_refused", manager.refused, "routes refused at registration"],
    ["route_install_failures", sum((end) => end.counters.installFailures), "refused by the kernel"],
    [
      "route_uninstall_failures",
      sum((end) => end.counters.uninstallFailures),
      "refused by the kernel",
    ],
    ["probe_route_failures", probePath.failures, "probe routes that the kernel refused"],
    ["reconcile_failures", reconciler.failures, "sweeps that could not list the kernel's routes"],
    [
      "reconcile_skipped_no_link",
      reconciler.skippedNoLink,
      "routes left alone while their link is gone",
    ],
    ["state_file_failures", manager.keeper.failures, "state files that were no use or not written"],
    ["events_postponed", loop.eventsPostponed, "silent sessions judged a turn later (max_events)"],
    ["kernel_request_failures", kernel.counters.failures, "requests that the kernel refused"],
    [
      "kernel_messages_unreadable",
      kernel.counters.unreadable,
      "messages of the kernel that were no use",
    ],
    ["kernel_overruns", kernel.counters.overruns, "times that the kernel's messages were lost"],
    [
      "kernel_notifications_lost",
      kernel.counters.changeOverruns,
      "times that the kernel told of changes faster than could be read; its table was read again",
    ],
    [
      "routes_removed_externally",
      sum((end) => end.counters.externalRemovals),
      "installed routes that other processes removed or replaced",
    ],
    ["log_lines_lost", sources.logLinesLost(), "log lines that nobody read in time"],
    [
      "internal_errors",
      sources.internalErrors(),
      "exceptions that nothing caught; please report them",
    ],
  ];
  return rows.map(([name, count, meaning]) => ({ name, count, meaning }));
}

function invalid(end: LocalEnd): number {
  return Object.values(end.counters.rxInvalid).reduce((n, count) => n + count, 0);
}
