import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
} from "@std/assert";
import { FLAG_PASSIVE, State } from "../../src/protocol/packet.ts";
import { DELAY, managerOf, MS, pass, route, routeOf, S, sessionOf, withPuppet } from "./scene.ts";
import { addressOf } from "./world.ts";

Deno.test("a passive peer's route is kept when its session fails, if that is honoured", async () => {
  for (const honorPeerPassive of [true, false]) {
    const { world, puppet, daemon } = withPuppet({ liveness: { honorPeerPassive } });
    const stop = puppet.beAlive({ flags: FLAG_PASSIVE });
    await pass(world, 5 * S);
    assertEquals(sessionOf(world).peer_mode, "passive");
    assert(daemon.holds(daemon.routes[0]!));
    stop();
    await pass(world, 65 * S);
    assertEquals(sessionOf(world).reason, "timeout");
    assertEquals(daemon.holds(daemon.routes[0]!), honorPeerPassive);
  }
});

Deno.test("a passive daemon installs at once and keeps its route whatever the session does", async () => {
  const { world, puppet, daemon } = withPuppet({ config: { mode: "passive" } });
  await pass(world, 10 * MS);
  assert(daemon.holds(daemon.routes[0]!));
  const stop = puppet.beAlive();
  await pass(world, 5 * S);
  assertEquals(puppet.last.flags, FLAG_PASSIVE);
  stop();
  await pass(world, 65 * S);
  assertEquals(sessionOf(world).reason, "timeout");
  assertEquals(daemon.kernel.served.delete, 0);
  daemon.kernel.remove({ ...route(0, 1), protocol: 186 });
  await pass(world, 31 * S);
  assert(daemon.holds(daemon.routes[0]!));
});

Deno.test("no_uninstall leaves the route in the kernel through failure, sweeps and withdrawal", async () => {
  const { world, puppet, daemon } = withPuppet({
    routes: (index) => index === 0 ? [route(0, 1, { noUninstall: true })] : [],
  });
  await pass(world, 1 * S);
  assertEquals(daemon.holds(daemon.routes[0]!), false);
  const stop = puppet.beAlive();
  await pass(world, 5 * S);
  assert(daemon.holds(daemon.routes[0]!));
  stop();
  await pass(world, 65 * S);
  assertEquals(sessionOf(world).reason, "timeout");
  assertGreaterOrEqual(managerOf(daemon).reconciler.sweeps, 2);
  assert(daemon.holds(daemon.routes[0]!));
  await managerOf(daemon).withdraw(daemon.routes[0]!);
  await pass(world, 65 * S);
  assert(daemon.holds(daemon.routes[0]!));
});

Deno.test("no_uninstall leaves the route also when the session fails during its installation", async () => {
  const { world, puppet, daemon } = withPuppet({
    routes: (index) => index === 0 ? [route(0, 1, { noUninstall: true })] : [],
  });
  await pass(world, 1 * S);
  daemon.kernelLatencyUs = 400 * MS;
  const stop = puppet.beAlive();
  while (sessionOf(world).state !== "up") await pass(world, 1 * MS);
  stop();
  puppet.say(State.AdminDown);
  await pass(world, 2 * DELAY);
  assertEquals(sessionOf(world).reason, "remote_admin");
  assertEquals(daemon.holds(daemon.routes[0]!), false);
  await pass(world, 20 * S);
  assert(daemon.holds(daemon.routes[0]!));
});

Deno.test("an excluded destination is not touched in the kernel and its session keeps still", async () => {
  const { world, puppet, daemon } = withPuppet({ config: { exclude: [addressOf(1)] } });
  puppet.beAlive();
  const foreign = { ...route(0, 1), protocol: 186, ifindex: 2, metric: 0 };
  daemon.kernel.put(foreign);
  await pass(world, 65 * S);
  assertGreaterOrEqual(managerOf(daemon).reconciler.sweeps, 2);
  assertGreater(sessionOf(world).rx_packets, 100);
  assertEquals(sessionOf(world).state, "admin_down");
  assertLessOrEqual(puppet.heard.length, 1);
  await managerOf(daemon).withdraw(daemon.routes[0]!);
  await pass(world, 1 * S);
  assert(daemon.holds(daemon.routes[0]!));
});

Deno.test("many routes share one session, and the last one out ends it with an AdminDown", async () => {
  const routes = [1, 2, 3].map((n) => route(0, 1, { dst: `172.16.${n}.0/24`, table: 100 + n }));
  const { world, puppet, daemon } = withPuppet({ routes: (index) => index === 0 ? routes : [] });
  puppet.beAlive();
  await pass(world, 5 * S);
  const manager = managerOf(daemon);
  assertEquals(manager.counts().sessions.up, 1);
  assertEquals(manager.counts().routesInstalled, 3);
  const withdrawn = async (index: number) => {
    manager.withdraw(routes[index]!);
    await pass(world, 1 * S);
    return [[...manager.sessions()].length, daemon.holds(routes[index]!)];
  };
  assertEquals(await withdrawn(0), [1, false]);
  assertEquals(await withdrawn(1), [1, false]);
  assertEquals(puppet.last.state, State.Up);
  assertEquals(await withdrawn(2), [0, false]);
  assertEquals(puppet.last.state, State.AdminDown);
  const heard = puppet.heard.length;
  await pass(world, 5 * S);
  assertEquals(puppet.heard.length, heard);
  // The socket is closed with the last session: the peer's packets are refused there.
  assertGreaterOrEqual(world.network.counters.refused, 10);
});

Deno.test("a refused installation is not believed, and tried again later and later", async () => {
  const { world, puppet, daemon } = withPuppet({ kernel: { reconcileIntervalUs: 0 } });
  const tries: number[] = [];
  let failing = true;
  daemon.kernel.failWhen((request) => {
    if (request.kind !== "replace" || request.route.table !== 254) return null;
    tries.push(world.queue.now);
    return failing ? "unreachable" : null;
  });
  puppet.beAlive();
  await pass(world, 10 * S);
  assertEquals(sessionOf(world).state, "up");
  assertEquals(routeOf(world).installed, false);
  const gaps = tries.slice(1).map((at, i) => at - tries[i]!);
  assertGreaterOrEqual(gaps.length, 4);
  for (let i = 1; i < gaps.length; i++) assertGreater(gaps[i]!, 1.5 * gaps[i - 1]!);
  failing = false;
  await pass(world, 10 * S);
  assert(routeOf(world).installed);
  assert(daemon.holds(daemon.routes[0]!));
  assertLess(tries.length, 12);
});

Deno.test("a withdrawal between a sweep's listing and its reinstall is not undone", async () => {
  const { world, puppet, daemon } = withPuppet({ kernel: { reconcileIntervalUs: 10 * S } });
  puppet.beAlive();
  await pass(world, 9 * S);
  daemon.kernelIsMute = true;
  daemon.kernel.remove({ ...route(0, 1), protocol: 186 });
  daemon.kernelLatencyUs = 500 * MS;
  const lists = daemon.kernel.served.list;
  while (daemon.kernel.pending === 0) await pass(world, 1 * MS);
  assertEquals(daemon.kernel.served.list, lists);
  const replaced = daemon.kernel.served.replace;
  managerOf(daemon).withdraw(daemon.routes[0]!);
  await pass(world, 30 * S);
  assertGreater(daemon.kernel.served.list, lists);
  assertEquals(daemon.kernel.served.replace, replaced);
  assertEquals(daemon.holds(daemon.routes[0]!), false);
});

Deno.test("a route replaced by another process is put back by the next sweep at the latest", async () => {
  const { world, puppet, daemon } = withPuppet();
  puppet.beAlive();
  await pass(world, 5 * S);
  daemon.kernelIsMute = true;
  daemon.kernel.put({ ...route(0, 1), via: "10.9.9.9", protocol: 4, ifindex: 2, metric: 0 });
  assertEquals(daemon.holds(daemon.routes[0]!), false);
  await pass(world, 31 * S);
  assert(daemon.holds(daemon.routes[0]!));
  assertEquals(routeOf(world).reinstalls, 1);
});

Deno.test("a route that another process removes or replaces is back within milliseconds", async () => {
  const { world, puppet, daemon } = withPuppet({ kernel: { reconcileIntervalUs: 0 } });
  puppet.beAlive();
  await pass(world, 5 * S);
  daemon.kernel.remove({ ...route(0, 1), protocol: 186 });
  assertEquals(daemon.holds(daemon.routes[0]!), false);
  await pass(world, 5 * MS);
  assert(daemon.holds(daemon.routes[0]!));
  daemon.kernel.put({ ...route(0, 1), via: "10.9.9.9", protocol: 4, ifindex: 2, metric: 0 });
  assertEquals(daemon.holds(daemon.routes[0]!), false);
  await pass(world, 5 * MS);
  assert(daemon.holds(daemon.routes[0]!));
  assertEquals(routeOf(world).reinstalls, 2);
});

Deno.test("a fight over a route slows down on our side, and ends at once when the other gives up", async () => {
  const { world, puppet, daemon } = withPuppet({ kernel: { reconcileIntervalUs: 0 } });
  puppet.beAlive();
  await pass(world, 5 * S);
  const before = daemon.kernel.served.replace;
  let removals = 0;
  for (let i = 0; i < 10_000; i++) {
    if (daemon.kernel.remove({ ...route(0, 1), protocol: 186 })) removals++;
    await pass(world, 1 * MS);
  }
  // Ten at once, then 0.1 s, 0.2 s, 0.4 s, … within these ten seconds.
  assertEquals([0, 1].includes(removals - (daemon.kernel.served.replace - before)), true);
  assertGreater(removals, 12);
  assertLess(removals, 20);
  await pass(world, 40 * S);
  assert(daemon.holds(daemon.routes[0]!));
  daemon.kernel.remove({ ...route(0, 1), protocol: 186 });
  await pass(world, 5 * MS);
  assert(daemon.holds(daemon.routes[0]!));
});

Deno.test("a daemon told to stop withdraws its routes although the kernel refuses for a while", async () => {
  const { world, puppet, daemon } = withPuppet({ kernel: { onShutdown: "withdraw" } });
  puppet.beAlive();
  await pass(world, 5 * S);
  const heal = daemon.failKernel("delete", "busy");
  const stopped = daemon.stop();
  await pass(world, 3 * S);
  assert(daemon.holds(daemon.routes[0]!));
  assertGreater(daemon.refusals, 3);
  heal();
  await pass(world, 5 * S);
  assertEquals(daemon.process, null);
  await stopped;
  assertEquals(daemon.holds(daemon.routes[0]!), false);
  assertEquals(puppet.heard.filter(({ packet }) => packet.state === State.AdminDown).length, 1);
});

Deno.test("a route that a killed run left goes when it is withdrawn, although it never came up", async () => {
  const { world, puppet, daemon } = withPuppet();
  const stop = puppet.beAlive();
  await pass(world, 5 * S);
  stop();
  daemon.crash();
  daemon.start();
  await pass(world, 1 * S);
  assertEquals(sessionOf(world).was_up, false);
  assert(daemon.holds(daemon.routes[0]!));
  managerOf(daemon).withdraw(daemon.routes[0]!);
  await pass(world, 10 * MS);
  assertEquals(daemon.holds(daemon.routes[0]!), false);
});
