import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { RouteConfig } from "../../../src/config/config.ts";
import { type FormerRun, writeRun } from "../../../src/manager/former_run.ts";
import { FLAG_PASSIVE, State } from "../../../src/protocol/packet.ts";
import { MachineState } from "../../simulation/state.ts";
import { Bench, type BenchOptions, PROTOCOL, route } from "./fixture.ts";

const INTERVAL = 300_000;
const LISTEN = 2.35 * INTERVAL;
/** The bench draws the middle of the spread of first packets. */
const SPREAD = 50_000;
const GRACE = LISTEN + 3 * INTERVAL + 4.4 * INTERVAL + 1_000_000;
const DISCRIMINATOR = 77;

/** What a run with these routes, and a session for each, left. */
function left(routes: readonly RouteConfig[], changes: Partial<FormerRun> = {}): MachineState {
  const run: FormerRun = {
    protocol: PROTOCOL,
    ended: false,
    sessions: routes.map(({ dev, src, probe }, index) => ({
      dev,
      src,
      peer: probe,
      discriminator: DISCRIMINATOR + index,
      interval_us: INTERVAL,
      passive: false,
    })),
    routes: routes.map(({ table, dst, via, dev, src }) => ({ table, dst, via, dev, src })),
    ...changes,
  };
  const state = new MachineState();
  const text = state.begin();
  for (const part of writeRun({ ...state.here, ...run }, run.sessions, run.routes)) {
    text.write(part);
  }
  text.commit();
  return state;
}

/** A daemon that starts where `inKernel` was left, and wants `wanted`. */
async function restarted(
  options: BenchOptions,
  inKernel: readonly RouteConfig[],
  wanted: readonly RouteConfig[],
): Promise<Bench> {
  const bench = new Bench(options);
  for (const config of inKernel) bench.kernel.put(bench.found(config));
  bench.manager.recall();
  for (const config of wanted) bench.register(config);
  await bench.manager.start();
  await bench.settle();
  return bench;
}

Deno.test("a peer that still says Up takes the session straight to Up, and our first word is Up", async () => {
  const config = route(1);
  const bench = await restarted({ state: left([config]) }, [config], [config]);
  await bench.advance(LISTEN - 1_000);
  assertEquals(bench.sent(config), [], "it listens");
  bench.hear(config, State.Up);
  await bench.settle();
  const [first] = bench.sent(config);
  assertEquals([first?.state, first?.localDiscr, first?.peerDiscr], [
    State.Up,
    DISCRIMINATOR,
    0x0b0b0b0b,
  ]);
  assertEquals(bench.shown(config).installed, true);
  assertEquals(bench.kernel.served.replace, 1, "the probe route; the adopted one is not touched");
  assertEquals(bench.told("session_state").map(({ from, to }) => [from, to]), [["down", "up"]]);
  assertEquals(bench.shown(config).reason, null);
  await bench.silence(config);
  assertEquals(bench.holds(config), false, "from then on it follows its session");
});

Deno.test("a silent peer is listened to for 2.35 of its intervals, and then spoken to", async () => {
  const config = route(1);
  const slow = left([config]);
  const bench = await restarted({ state: slow }, [], [config]);
  await bench.advance(LISTEN + SPREAD - 1_000);
  assertEquals(bench.sent(config), []);
  await bench.advance(2_000);
  const [first] = bench.sent(config);
  assertEquals([first?.state, first?.localDiscr, first?.peerDiscr], [State.Down, DISCRIMINATOR, 0]);
});

Deno.test("after an orderly end discriminators are kept, and nobody is listened to", async () => {
  const config = route(1);
  const bench = await restarted({ state: left([config], { ended: true }) }, [], [config]);
  await bench.advance(SPREAD + 1_000);
  assertEquals(bench.sent(config).map(({ localDiscr }) => localDiscr), [DISCRIMINATOR]);
});

Deno.test("an endpoint that opens later is listened at for as long, from then on", async () => {
  const config = route(1);
  const state = left([config]);
  const bench = new Bench({ state });
  bench.manager.recall();
  bench.register(config);
  bench.transport.change(config.dev, config.src, "no such address");
  await bench.manager.start();
  await bench.advance(5_000_000);
  bench.transport.change(config.dev, config.src, null);
  await bench.advance(LISTEN - 10_000);
  const early = bench.sent(config).length;
  await bench.advance(SPREAD + 20_000);
  assertEquals([early, bench.sent(config)[0]?.state], [0, State.Down]);
});

Deno.test("a new session's discriminator is none that a former session still has", async () => {
  const wanted = [route(1), route(2), route(3)];
  // The bench draws 1, 2, 3, …
  const sessions = [1, 2].map((discriminator, index) => ({
    dev: "tun0",
    src: "10.0.0.1",
    peer: `10.1.0.${index + 1}`,
    discriminator,
    interval_us: INTERVAL,
    passive: false,
  }));
  const bench = await restarted({ state: left([], { sessions }) }, [], wanted);
  const drawn = wanted.map((config) => bench.session(config)!.session.localDiscr);
  assertEquals(drawn, [1, 2, 3]);
});

for (
  const { name, options, config, passive, stays, claimed } of [
    { name: "active", options: {}, config: {}, passive: false, stays: false, claimed: false },
    {
      name: "passive mode",
      options: { mode: "passive" },
      config: {},
      passive: false,
      stays: true,
      claimed: true,
    },
    {
      name: "no_uninstall",
      options: {},
      config: { noUninstall: true },
      passive: false,
      stays: true,
      claimed: false,
    },
    { name: "a passive peer", options: {}, config: {}, passive: true, stays: true, claimed: true },
    {
      name: "a passive peer that is not honoured",
      options: { liveness: { honorPeerPassive: false } },
      config: {},
      passive: true,
      stays: false,
      claimed: false,
    },
  ] as const
) {
  Deno.test(`after the grace period a route follows its session as policy says: ${name}`, async () => {
    const wanted = route(1, config);
    const [session] = JSON.parse(left([wanted]).read()!).sessions;
    const state = left([wanted], { sessions: [{ ...session, passive }] });
    const bench = await restarted({ ...options, state }, [wanted], [wanted]);
    await bench.advance(GRACE - 10_000);
    assertEquals([bench.holds(wanted), bench.shown(wanted).installed], [true, true]);
    await bench.advance(20_000);
    assertEquals([bench.holds(wanted), bench.shown(wanted).installed], [stays, claimed]);
    // Passive mode wants it anyhow: there is nothing to adopt it for.
    const expired = name === "passive mode" ? 0 : 1;
    assertEquals(bench.told("route_adoption_expired").length, expired);
    await bench.advance(60_000_000);
    assertEquals(bench.holds(wanted), stays, "and no sweep changes that");
  });
}

Deno.test("a session that fails before it was Up does not end the grace period", async () => {
  const config = route(1);
  const bench = await restarted({ state: left([config]) }, [config], [config]);
  bench.hear(config, State.Down, { peerDiscr: 0 });
  await bench.advance(1_000_000);
  assertEquals(bench.told("session_state").map(({ to }) => to), ["init", "down"]);
  assertEquals(bench.holds(config), true);
  await bench.advance(GRACE);
  assertEquals(bench.holds(config), false);
});

Deno.test("an operator's down ends the grace period at once", async () => {
  const config = route(1);
  const bench = await restarted({ state: left([config]) }, [config], [config]);
  bench.manager.setAdmin({ dev: config.dev, src: config.src, peer: config.probe }, "down");
  await bench.settle();
  assertEquals(bench.holds(config), false);
});

Deno.test("a withdrawal ends it, too", async () => {
  const config = route(1);
  const bench = await restarted({ state: left([config]) }, [config], [config]);
  await bench.manager.withdraw(config);
  assertEquals(bench.holds(config), false);
  await bench.advance(GRACE);
  assertEquals(bench.told("route_adoption_expired"), []);
});

Deno.test("what is recorded and not wanted goes; what differs in anything stays", async () => {
  const recorded = route(1);
  const others = [
    route(1, { table: 100 }),
    route(1, { dst: "10.1.0.0/31" }),
    route(2, { via: "10.0.0.3" }),
    route(3, { src: "10.0.0.9" }),
    route(4, { dev: "tun1" }),
    route(5),
  ];
  const state = left([recorded, route(2), route(3), route(4)]);
  const bench = await restarted({ state }, [recorded, ...others], []);
  assertEquals(bench.holds(recorded), false);
  assertEquals(others.map((other) => bench.kernel.has(bench.found(other))), others.map(() => true));
  assertEquals(bench.told("route_stale_removed").map(({ route }) => route?.dst), [recorded.dst]);
  await bench.advance(60_000_000);
  assertEquals(others.map((other) => bench.kernel.has(bench.found(other))), others.map(() => true));
});

Deno.test("neither metric nor protocol nor an exclusion is overlooked", async () => {
  const config = route(1);
  const bench = new Bench({ state: left([config, route(2)]), exclude: ["10.1.0.2"] });
  const foreign = [
    { ...bench.found(config), metric: 20 },
    { ...bench.found(config), metric: 0, protocol: 4 },
    bench.found(route(2)),
  ];
  for (const there of foreign) bench.kernel.put(there);
  bench.manager.recall();
  await bench.manager.start();
  await bench.advance(60_000_000);
  assertEquals(bench.kernel.routes({ table: config.table }).length, foreign.length);
  assertEquals([bench.kernel.served.delete, bench.manager.adoption.removed], [0, 0]);
  assert(bench.kernel.served.list > 2);
});

Deno.test("a wanted route that another interface holds is not adopted, nor removed by a sweep", async () => {
  const config = route(1);
  const elsewhere = route(1, { dev: "tun1" });
  const bench = await restarted({ state: left([elsewhere]) }, [], [config]);
  assertEquals(bench.manager.adoption.adopted, 0);
  const foreign = await restarted({}, [elsewhere], [config]);
  await foreign.advance(60_000_000);
  assertEquals(foreign.kernel.has(foreign.found(elsewhere)), true);
  assert(foreign.manager.reconciler.sweeps > 0);
});

Deno.test("a removal that the kernel refuses is tried again, and stays recorded until it is done", async () => {
  const state = left([route(1)]);
  const bench = new Bench({ state });
  bench.kernel.put(bench.found(route(1)));
  bench.kernel.failWhen(({ kind }) => kind === "delete" ? "busy" : null);
  bench.manager.recall();
  bench.register(route(2));
  await bench.manager.start();
  await bench.advance(5_000_000);
  assertEquals(bench.holds(route(1)), true);
  assert(bench.told("route_uninstall_failed").length > 0);
  assertEquals([...state.routes()].sort(), ["254 10.1.0.1/32", "254 10.1.0.2/32"]);
  bench.kernel.failWhen(null);
  await bench.advance(5_000_000);
  assertEquals(bench.holds(route(1)), false);
  assertEquals([...state.routes()], ["254 10.1.0.2/32"]);
});

Deno.test("a table that cannot be listed is listed again; no sweep removes anything before", async () => {
  const config = route(1);
  const bench = new Bench({ state: left([config]) });
  bench.kernel.put(bench.found(config));
  bench.kernel.failWhen(({ kind }) => kind === "list" ? "busy" : null);
  bench.manager.recall();
  bench.register(config);
  await bench.manager.start();
  bench.manager.sweep();
  await bench.advance(1_500_000);
  assert(bench.told("reconcile_failed").length > 1);
  assertEquals(bench.shown(config).installed, false);
  bench.kernel.failWhen(null);
  await bench.advance(1_000_000);
  assertEquals([bench.shown(config).installed, bench.holds(config)], [true, true]);
  assertEquals(bench.told("route_adopted").length, 1);
});

Deno.test("routes of a former protocol number are replaced in their place, or go", async () => {
  const [kept, gone] = [route(1), route(2)];
  const state = left([kept, gone], { protocol: 99 });
  const bench = new Bench({ state });
  for (const config of [kept, gone]) bench.kernel.put({ ...bench.found(config), protocol: 99 });
  bench.manager.recall();
  bench.register(kept);
  await bench.manager.start();
  await bench.settle();
  assertEquals(bench.holds(kept), true);
  assertEquals(bench.kernel.routes({ protocol: 99 }), []);
  await bench.advance(GRACE + 10_000);
  assertEquals(bench.holds(kept), false);
});

Deno.test("without a state file wanted routes are adopted, and nothing is removed", async () => {
  const bench = await restarted({}, [route(1), route(2)], [route(1)]);
  assertEquals(bench.told("route_adopted").length, 1);
  await bench.advance(60_000_000);
  assertEquals([bench.holds(route(1)), bench.holds(route(2))], [false, true]);
});

for (const onShutdown of ["keep", "withdraw"] as const) {
  Deno.test(`an end with ${onShutdown} within the grace period does as it says`, async () => {
    const config = route(1);
    const state = left([config]);
    const bench = await restarted({ state }, [config], [config]);
    await bench.manager.stop(onShutdown);
    assertEquals(bench.holds(config), onShutdown === "keep");
    const written = JSON.parse(state.read()!);
    assertEquals([written.ended, written.routes.length], [true, onShutdown === "keep" ? 1 : 0]);
    assertEquals(written.sessions[0].discriminator, DISCRIMINATOR);
    await bench.advance(120_000_000);
    assertEquals(bench.holds(config), onShutdown === "keep");
  });
}

Deno.test("a peer's passiveness and interval are written once they are known", async () => {
  const state = new MachineState();
  const config = route(1);
  const bench = await restarted({ state }, [], [config]);
  await bench.advance(2_000_000);
  assertEquals(state.commits, 1);
  const slow = { desiredMinTxUs: 700_000, flags: FLAG_PASSIVE };
  bench.hear(config, State.Init, slow);
  await bench.advance(1_500_000);
  assertEquals(state.commits, 2);
  const [session] = JSON.parse(state.read()!).sessions;
  assertEquals([session.interval_us, session.passive], [700_000, true]);
});

Deno.test("a session that flaps a hundred times is not a reason to write", async () => {
  const state = new MachineState();
  const bench = await restarted({ state }, [], [route(1)]);
  bench.bringUp(route(1));
  await bench.advance(2_000_000);
  const before = state.commits;
  for (let i = 0; i < 100; i++) {
    await bench.silence(route(1));
    bench.bringUp(route(1));
    await bench.settle();
  }
  assert(bench.shownSession(route(1)).flaps >= 100);
  assertEquals(state.commits, before);
});

Deno.test("a state that is no use is reported by name and reason, counted, and ignored", async () => {
  const state = left([route(1), route(2)]);
  state.damage();
  const bench = await restarted({ state }, [route(1), route(2)], [route(1)]);
  const [failure] = bench.told("state_file_failed");
  assertStringIncludes(failure!.message!, "state: it is damaged");
  assertEquals(bench.manager.keeper.failures, 1);
  assertEquals([bench.holds(route(1)), bench.holds(route(2))], [true, true]);
  await bench.advance(SPREAD + 1_000);
  assertEquals(bench.sent(route(1)).length, 1, "it does not listen");
});
