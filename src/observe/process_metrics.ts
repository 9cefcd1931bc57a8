import process from "node:process";
import { type Family, row } from "./exposition.ts";
import { NO_LABELS } from "./labels.ts";

const FDS = "/proc/self/fd";

/** The process as the kernel accounts for it. */
export interface ProcessReadings {
  /** User and system time of all threads, seconds. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** JavaScript heap in use. */
  readonly heapBytes: number;
  /** Seconds since the epoch. */
  readonly startTime: number;
  /** `null` where /proc cannot be read. */
  readonly openFds: number | null;
}

export type ProcessReader = () => ProcessReadings;

/** Reads this process. prom-client's own process metrics are empty or wrong under Deno. */
export function readProcess(): ProcessReadings {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = Deno.memoryUsage();
  return {
    cpuSeconds: (user + system) / 1e6,
    residentBytes: rss,
    heapBytes: heapUsed,
    startTime: performance.timeOrigin / 1_000,
    openFds: countOpenFds(),
  };
}

/** The names that Prometheus' client libraries share, and the heap under a name of our own. */
export function* processFamilies(read: ProcessReader): Iterable<Family> {
  const now = read();
  const family = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    value: number,
  ): Family => ({
    name,
    type,
    help,
    rows: () => [[row(NO_LABELS, value)]],
  });
  yield family(
    "process_cpu_seconds_total",
    "counter",
    "User and system CPU time spent, seconds.",
    now.cpuSeconds,
  );
  yield family(
    "process_resident_memory_bytes",
    "gauge",
    "Resident memory, bytes.",
    now.residentBytes,
  );
  yield family(
    "process_start_time_seconds",
    "gauge",
    "Start of the process, seconds since the epoch.",
    now.startTime,
  );
  if (now.openFds !== null) {
    yield family("process_open_fds", "gauge", "Open file descriptors.", now.openFds);
  }
  yield family("livenessd_heap_used_bytes", "gauge", "JavaScript heap in use.", now.heapBytes);
}

function countOpenFds(): number | null {
  try {
    const { size } = Deno.statSync(FDS);
    return size > 0 ? size : listedFds();
  } catch {
    return null;
  }
}

// Linux before 6.2 does not tell their number as the folder's size.
function listedFds(): number {
  let count = 0;
  for (const _ of Deno.readDirSync(FDS)) count++;
  // The listing itself held one open.
  return count - 1;
}
