import { assert, assertEquals, assertGreater, assertNotEquals, assertRejects } from "@std/assert";
import type { Config } from "../../src/config/config.ts";
import type { EventKind } from "../../src/observe/event.ts";
import { State } from "../../src/protocol/packet.ts";
import { FAULT_KINDS } from "./faults.ts";
import type { NetworkCounters } from "./network.ts";
import { Violation } from "./referee.ts";
import { World, type WorldOptions } from "./world.ts";

/** Worlds in one run; more of them for a long search: `SIMULATION_SEEDS=5000`. */
const SEEDS = Number(Deno.env.get("SIMULATION_SEEDS") ?? "200");
/** Fewer worlds than this need not have met every fault. */
const ENOUGH_SEEDS = 50;

/** What happened in many worlds together. */
class Totals {
  readonly faults = new Map<string, number>();
  readonly network = new Map<keyof NetworkCounters, number>();
  readonly reports = new Map<EventKind, number>();
  readonly notifications = { late: 0, repeated: 0, lost: 0 };
  kernelRefusals = 0;
  looks = 0;
  withdrawals = 0;
  recoveries = 0;
  worstRecovery = 0;

  add({ happened, network, reports, machines, referee }: World): void {
    for (const kind of FAULT_KINDS) sum(this.faults, kind, happened[kind]);
    for (const [name, count] of Object.entries(network.counters)) {
      sum(this.network, name as keyof NetworkCounters, count);
    }
    for (const [kind, count] of reports) sum(this.reports, kind, count);
    for (const { refusals, notifications } of machines) {
      this.kernelRefusals += refusals;
      this.notifications.late += notifications.late;
      this.notifications.repeated += notifications.repeated;
      this.notifications.lost += notifications.lost;
    }
    this.looks += referee.looks;
    this.withdrawals += referee.withdrawals;
    this.recoveries += referee.recoveries;
    this.worstRecovery = Math.max(this.worstRecovery, referee.worstRecovery);
  }
}

function sum<K>(map: Map<K, number>, key: K, count: number): void {
  map.set(key, (map.get(key) ?? 0) + count);
}

Deno.test(`${SEEDS} worlds of ten daemons keep what the routes promise, whatever goes wrong`, async () => {
  const totals = new Totals();
  const failures: string[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World({ seed });
    try {
      await world.live();
    } catch (error) {
      const command = `deno run -A tests/simulation/replay.ts ${seed}`;
      failures.push(`seed ${seed}: ${error}\n  replay it with: ${command}`);
    }
    totals.add(world);
  }
  assertEquals(failures, [], `\n${failures.join("\n")}`);
  const worst = Math.round(100 * totals.worstRecovery);
  console.log(
    `${SEEDS} worlds: ${totals.withdrawals} withdrawals and ${totals.recoveries} recoveries ` +
      `in ${totals.looks} looks; the slowest recovery took ${worst} % of its bound`,
  );
  assertGreater(totals.withdrawals, SEEDS);
  assertGreater(totals.recoveries, SEEDS);
  if (SEEDS >= ENOUGH_SEEDS) assertEverythingHappened(totals);
});

/** A run proves little if what it is about did not happen. */
function assertEverythingHappened(totals: Totals): void {
  for (const kind of FAULT_KINDS) assertGreater(totals.faults.get(kind) ?? 0, 0, kind);
  const effects = ["lost", "duplicated", "reordered", "cut", "overflowed", "refused"] as const;
  for (const effect of effects) assertGreater(totals.network.get(effect) ?? 0, 0, effect);
  const consequences: EventKind[] = [
    "route_install_failed",
    "route_uninstall_failed",
    "route_reinstalled",
    "reconcile_failed",
    "endpoint_lost",
    "endpoint_opened",
    "local_stall",
    "session_removed",
    "route_adopted",
    "route_adoption_expired",
    "route_stale_removed",
    "state_file_failed",
  ];
  for (const kind of consequences) assertGreater(totals.reports.get(kind) ?? 0, 0, kind);
  assertGreater(totals.kernelRefusals, 0);
  for (const [name, count] of Object.entries(totals.notifications)) assertGreater(count, 0, name);
}

Deno.test("the same seed gives the same world, event by event; another seed another one", async () => {
  const story = async (seed: number) => {
    const lines: string[] = [];
    const world = new World({ seed, trace: (line) => lines.push(line) });
    await world.live();
    return { hash: world.hash, fired: world.queue.fired, lines };
  };
  const first = await story(7);
  assertEquals(await story(7), first);
  assertGreater(first.lines.length, 200);
  assertNotEquals((await story(8)).hash, first.hash);
});

/** Lives in worlds that differ from honest ones until the referee objects. */
async function firstViolation(options: (seed: number) => WorldOptions): Promise<void> {
  for (let seed = 1; seed <= 20; seed++) await new World(options(seed)).live();
}

Deno.test("the world catches a daemon that forgets to withdraw", async () => {
  await assertRejects(
    () => firstViolation((seed) => ({ seed, mutation: { kernel: "says deleted and keeps" } })),
    Violation,
    "is installed, but its peer is",
  );
});

Deno.test("the world catches a daemon that believes in routes that are not there", async () => {
  const kernel = "says installed and does not" as const;
  await assertRejects(
    () => firstViolation((seed) => ({ seed, mutation: { kernel } })),
    Violation,
    "is called installed and is not in the kernel",
  );
});

Deno.test("the world catches a network that never delivers a Down", async () => {
  let swallowed = 0;
  const lives = async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = new World({ seed });
      world.network.tamper = ({ bytes }) => {
        const deliver = world.queue.now < 5e6 || bytes.getUint8(1) >>> 6 !== State.Down;
        if (!deliver) swallowed++;
        return deliver;
      };
      await world.live();
    }
  };
  await assertRejects(lives, Violation, "is installed, but its peer is unreachable");
  assertGreater(swallowed, 0);
});

Deno.test("the world catches a daemon that does not notice silence", async () => {
  const misread = (config: Config) => ({
    ...config,
    liveness: { ...config.liveness, detectMult: 255 },
  });
  await assertRejects(
    () => firstViolation((seed) => ({ seed, mutation: { misread } })),
    Violation,
    "is installed, but its peer is unreachable",
  );
});

Deno.test("the world catches a daemon that never sweeps", async () => {
  const misread = (config: Config) => ({
    ...config,
    kernel: { ...config.kernel, reconcileIntervalUs: 0 },
  });
  await assertRejects(
    () => firstViolation((seed) => ({ seed, mutation: { misread } })),
    Violation,
    "reachable",
  );
});

Deno.test("the replay command tells the story of a seed and that it holds", async () => {
  const replay = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "tests/simulation/replay.ts", "3"],
  });
  const { success, stdout } = await replay.output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  assert(success);
  assertGreater(lines.filter((line) => line.includes(" fault ")).length, 10);
  const world = new World({ seed: 3 });
  await world.live();
  assertEquals(lines.at(-1), `seed 3 holds; ${world.queue.fired} events, hash ${world.hash}`);
});
