import { assert, assertEquals } from "@std/assert";
import { TwoHosts } from "./harness.ts";

const FOREIGN = 200_000;
const OURS = 5_000;
const SWEEP_MS = 2_000;
const PERIODS = 12;

function* foreignRoutes(via: string) {
  for (let i = 0; i < FOREIGN; i++) {
    yield `route add 20.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32 via ${via} proto static`;
  }
}

/** Routes of a passive daemon: installed at once, whoever answers or not. */
function ourRoutes(via: string, src: string) {
  return Array.from({ length: OURS }, (_, i) => ({
    dst: `30.0.${i >> 8}.${i & 255}/32`,
    via,
    dev: "link0",
    src,
    probe: `10.8.${i >> 8}.${i & 255}`,
  }));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

Deno.test("sweeps of 5,000 routes among 200,000 of others hold nothing up, and their memory returns", async () => {
  await using hosts = await TwoHosts.create("big");
  const { a, b } = hosts;
  await a.namespace.ipBatch(foreignRoutes(b.link));
  const daemon = await hosts.start(a, {
    mode: "passive",
    kernel: { protocol: "bgp", reconcile_interval: `${SWEEP_MS}ms`, on_shutdown: "keep" },
    api: { socket: hosts.socketOf(a) },
    log: { level: "warn", format: "json" },
    routes: ourRoutes(b.link, a.address),
  });
  const own = async (name: string) => {
    const line = (await daemon.get("/metrics")).split("\n").find((each) => each.startsWith(name));
    return Number(line?.split(" ")[1]);
  };
  const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  // Until the start has been collected and the code of a sweep compiled.
  await pass(10 * SWEEP_MS);
  const before = await daemon.json("status");
  assertEquals(before.routes.installed, OURS);
  const rssBefore = await own("process_resident_memory_bytes");
  await own("livenessd_loop_lag_max_seconds");
  const lags: number[] = [];
  for (let i = 0; i < PERIODS; i++) {
    await pass(1.1 * SWEEP_MS);
    lags.push(1_000 * await own("livenessd_loop_lag_max_seconds"));
  }
  const grownMb = (await own("process_resident_memory_bytes") - rssBefore) / 2 ** 20;
  const after = await daemon.json("status");
  const ran = Date.parse(after.reconciler.last_run) - Date.parse(before.reconciler.last_run);
  console.log(`  loop late by at most, ms: ${lags.map((lag) => lag.toFixed(1)).join(" ")}`);
  console.log(
    `  a sweep takes ${after.reconciler.last_took_us / 1_000} ms; RSS ${grownMb} MiB more`,
  );
  assert(ran >= (PERIODS - 1) * SWEEP_MS, "it swept meanwhile");
  assertEquals([after.reconciler.last_error, after.reconciler.reinstalls], [null, 0]);
  // The greatest lateness is also that of whatever else ran on this machine.
  assert(median(lags) < 5, `late by ${median(lags)} ms in half of the periods`);
  assert(grownMb < 10, `grew by ${grownMb} MiB`);
});
