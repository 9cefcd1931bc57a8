import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { RouteConfig } from "../../../src/config/config.ts";
import { State } from "../../../src/protocol/packet.ts";
import { Bench, PROBE_TABLE, PROTOCOL, route } from "./fixture.ts";

// Six routes over four sessions: two share one, one lies in another table, one is never uninstalled, one
// is excluded, one is another route for the destination of the first.
const ROUTES: readonly RouteConfig[] = [
  route(1),
  route(2, { probe: "10.1.0.1" }),
  route(3, { table: 100 }),
  route(4, { noUninstall: true }),
  route(5),
  route(1, { src: "10.0.0.9" }),
];
const STAYING = ROUTES[3]!;
const EXCLUDED = ["10.1.0.5"];

const which = fc.nat(ROUTES.length - 1);
const step = fc.oneof(
  fc.record({ do: fc.constantFrom("register" as const, "withdraw" as const), n: which }),
  fc.record({
    do: fc.constantFrom("up" as const, "peerDown" as const, "silence" as const),
    n: which,
  }),
  fc.record({ do: fc.constantFrom("adminDown" as const, "adminUp" as const), n: which }),
  fc.record({
    do: fc.constantFrom("lose" as const, "lost" as const, "endpoint" as const),
    n: which,
  }),
  fc.record({ do: fc.constantFrom("fail" as const, "time" as const), n: fc.nat(5) }),
  fc.record({
    do: fc.constantFrom("busy" as const, "answer" as const, "sweep" as const),
    n: which,
  }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What should be so, kept by the simplest means. */
class Model {
  readonly wanted = new Set<RouteConfig>();
  readonly adminDown = new Set<string>();

  register(config: RouteConfig): void {
    const taken = [...this.wanted].some(({ dst, table }) =>
      dst === config.dst && table === config.table
    );
    if (!taken) this.wanted.add(config);
  }

  withdraw(config: RouteConfig): void {
    this.wanted.delete(config);
    if (![...this.wanted].some((other) => peer(other) === peer(config))) {
      this.adminDown.delete(peer(config));
    }
  }
}

function peer({ src, probe }: RouteConfig): string {
  return `${src} ${probe}`;
}

function key({ dev, src, probe }: RouteConfig) {
  return { dev, src, peer: probe };
}

async function carryOut(bench: Bench, model: Model, { do: what, n }: Step): Promise<void> {
  const config = ROUTES[n % ROUTES.length]!;
  const { manager, kernel, transport } = bench;
  switch (what) {
    case "register":
      manager.register(config, "api");
      return model.register(config);
    case "withdraw":
      manager.withdraw(config);
      return model.withdraw(config);
    case "up":
      return bench.bringUp(config);
    case "peerDown":
      return bench.hear(config, State.AdminDown);
    case "silence":
      return await bench.advance(950_000);
    case "adminDown":
    case "adminUp": {
      const outcome = manager.setAdmin(key(config), what === "adminDown" ? "down" : "up");
      if (outcome.ok && what === "adminDown") model.adminDown.add(peer(config));
      if (what === "adminUp") model.adminDown.delete(peer(config));
      return;
    }
    case "lose":
      return void bench.silently(() => kernel.remove(bench.inKernel(config)));
    case "lost":
      return void kernel.remove(bench.inKernel(config));
    case "endpoint":
      for (const reason of ["interface tun0 is gone", null]) {
        if (!transport.open.has(`${config.dev} ${config.src}`)) continue;
        transport.change(config.dev, config.src, reason);
      }
      return;
    case "fail":
      return kernel.failNext(n, n % 2 === 0 ? "busy" : "unreachable");
    case "time":
      return await bench.advance(n * 400_000);
    case "busy":
      bench.kernelWaits = true;
      return;
    case "answer":
      return await bench.answer();
    case "sweep":
      return void manager.sweep();
  }
}

/** What holds at every moment. */
function checkCounts(bench: Bench, model: Model): void {
  const { manager } = bench;
  const counts = manager.counts();
  const sessions = [...manager.sessions()];
  for (const state of ["admin_down", "down", "init", "up"] as const) {
    const number = sessions.filter((session) => session.state === state).length;
    assertEquals(counts.sessions[state], number, `sessions ${state}`);
    let byEnd = 0;
    for (const end of manager.table.ends()) byEnd += end.counters.sessions[state];
    assertEquals(byEnd, number, `sessions ${state} by end`);
  }
  assertEquals(manager.table.size, sessions.length);
  assertEquals(sessions.length, new Set([...model.wanted].map(peer)).size);
  assertEquals(counts.routesWanted, model.wanted.size);
  let byEnd = 0;
  for (const end of manager.table.ends()) byEnd += end.counters.routesInstalled;
  assertEquals(byEnd, counts.routesInstalled, "routes installed by end");
}

/** Lets trouble end and everything take its course, wanted sessions that may be Up among it. */
async function calm(bench: Bench, model: Model, upPeers: ReadonlySet<string>): Promise<void> {
  bench.kernel.failNext(0, "busy");
  await bench.answer();
  for (let round = 0; round < 45; round++) {
    for (const config of model.wanted) {
      if (upPeers.has(peer(config))) bench.hear(config, round === 0 ? State.Down : State.Up);
    }
    await bench.advance(300_000);
    if (round === 40) await bench.manager.sweep();
  }
}

for (const mode of ["active", "passive"] as const) {
  Deno.test(`${mode}: after any history kernel, manager and counters agree with what is wanted`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60, size: "max" }),
        fc.array(which),
        async (steps, up) => {
          const bench = await Bench.started({ mode, exclude: EXCLUDED });
          const model = new Model();
          const upPeers = new Set(up.map((n) => peer(ROUTES[n]!)));
          for (const each of steps) {
            await carryOut(bench, model, each);
            checkCounts(bench, model);
            await bench.settle();
            checkCounts(bench, model);
          }
          await calm(bench, model, upPeers);
          checkCounts(bench, model);
          checkKernel(
            bench,
            model,
            (config) =>
              mode === "passive" || upPeers.has(peer(config)) && !model.adminDown.has(peer(config)),
          );
          await bench.manager.stop("withdraw");
          assertEquals(held(bench), []);
          assertEquals(bench.kernel.rules(), []);
        },
      ),
      { numRuns: 600 },
    );
  });
}

/** Our routes in the kernel, but for the one that is never uninstalled. */
function held(bench: Bench): string[] {
  return bench.kernel.routes({ protocol: PROTOCOL })
    .filter(({ table, dst }) => table !== PROBE_TABLE && dst !== STAYING.dst)
    .map(({ table, dst, src }) => `${table} ${dst} ${src}`).sort();
}

/** In the end the kernel holds exactly what should be there, and the manager knows it. */
function checkKernel(bench: Bench, model: Model, serves: (config: RouteConfig) => boolean): void {
  const expected: RouteConfig[] = [];
  for (const config of model.wanted) {
    const { installed, excluded, reason } = bench.shown(config);
    const present = !excluded && serves(config);
    assertEquals(installed, present, `${config.dst}: ${reason}`);
    if (present) expected.push(config);
  }
  const names = expected.filter((each) => each !== STAYING)
    .map(({ table, dst, src }) => `${table} ${dst} ${src}`);
  assertEquals(held(bench), names.sort());
  if (expected.includes(STAYING)) assertEquals(bench.holds(STAYING), true);
  assertEquals(bench.manager.counts().routesInstalled, expected.length);
}
