import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertMatch,
} from "@std/assert";
import { State } from "../../src/protocol/packet.ts";
import { recoveryBounds } from "./bounds.ts";
import { DEV, type Machine } from "./machine.ts";
import { Puppet } from "./puppet.ts";
import {
  cut,
  DELAY,
  DETECT,
  managerOf,
  MS,
  pass,
  route,
  routeOf,
  S,
  scene,
  sessionOf,
  TX,
  withPuppet,
} from "./scene.ts";
import { addressOf } from "./world.ts";

Deno.test("the first packet leaves within 100 ms, and not always at the same moment", async () => {
  const delays: number[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const { world, puppet } = withPuppet({ seed });
    await pass(world, 150 * MS);
    delays.push(puppet.heard[0]!.at - DELAY);
  }
  assertLessOrEqual(Math.max(...delays), 100 * MS);
  assertGreater(Math.max(...delays) - Math.min(...delays), 50 * MS);
});

Deno.test("two daemons come up within the first exchange and install their routes", async () => {
  const world = scene();
  await pass(world, 100 * MS + 2 * TX + 5 * DELAY);
  for (const machine of world.machines) {
    assertEquals(sessionOf(world, machine.index).state, "up");
    assert(machine.holds(machine.routes[0]!));
    assert(routeOf(world, machine.index).installed);
  }
});

Deno.test("a state change is told at once when the last packet is long ago", async () => {
  const { world, puppet } = withPuppet();
  await pass(world, 30 * S);
  const before = puppet.heard.length;
  assertGreater(world.queue.now - puppet.heard.at(-1)!.at, 2 * TX);
  puppet.say(State.Down);
  await pass(world, 2 * DELAY + 1 * MS);
  assertEquals(puppet.heard.length, before + 1);
  assertEquals(puppet.last.state, State.Init);
});

Deno.test("a state change is never told sooner than the interval after the last packet", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { world, puppet } = withPuppet({ seed });
    await pass(world, 20 * S);
    if (world.queue.now - puppet.heard.at(-1)!.at < TX) await pass(world, TX);
    puppet.say(State.Down);
    await pass(world, 50 * MS);
    const told = puppet.heard.at(-1)!.at;
    assertEquals(puppet.last.state, State.Init);
    puppet.say(State.Init);
    await pass(world, 2 * TX);
    const next = puppet.heard.find(({ at }) => at > told)!;
    assertEquals(next.packet.state, State.Up);
    assertGreaterOrEqual(next.at - told, 0.9 * TX - 1 * MS);
    assertLessOrEqual(next.at - told, TX + 2 * MS);
  }
});

Deno.test("a peer that keeps flipping our state cannot drive our rate", async () => {
  const { world, puppet } = withPuppet();
  await pass(world, 1 * S);
  let flips = 0;
  const from = world.queue.now;
  const stop = puppet.repeat(5 * MS, () => puppet.say(flips++ % 2 ? State.Down : State.Init));
  await pass(world, 30 * S);
  stop();
  const { rx_packets } = sessionOf(world);
  assertGreater(rx_packets, 5_000);
  assertGreater(world.reports.get("session_state")!, 20);
  const sent = puppet.heard.filter(({ at }) => at >= from).length;
  assertLessOrEqual(sent, 30 * S / (0.9 * TX) + 1);
  assertGreaterOrEqual(Math.min(...puppet.gaps(from)), 0.9 * TX - 1 * MS);
});

Deno.test("while Down the interval doubles to its cap, and starts anew after a sign of life", async () => {
  const { world, puppet } = withPuppet({ liveness: { backoffMaxUs: 3 * S } });
  const expected = [TX, 2 * TX, 4 * TX, 8 * TX, 3 * S, 3 * S, 3 * S].map((us) =>
    Math.min(us, 3 * S)
  );
  const assertBacksOff = (from: number) => {
    const gaps = puppet.gaps(from).slice(0, expected.length);
    assertEquals(gaps.length, expected.length);
    for (const [i, mean] of expected.entries()) {
      assertGreaterOrEqual(gaps[i]!, 0.9 * mean - 1 * MS, `gap ${i}`);
      assertLessOrEqual(gaps[i]!, 1.1 * mean + 2 * MS, `gap ${i}`);
    }
  };
  await pass(world, 25 * S);
  assertBacksOff(0);
  puppet.say(State.Down);
  await pass(world, DETECT + 2 * TX);
  assertEquals(sessionOf(world).reason, "timeout");
  const fell = puppet.heard.findLast(({ packet }) => packet.state === State.Init)!.at;
  await pass(world, 25 * S);
  assertBacksOff(fell + 1);
});

Deno.test("after an outage of ten minutes both sides are back within the recovery bound", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = scene({ seed });
    await pass(world, 5 * S);
    cut(world, 1);
    await pass(world, 600 * S);
    assertEquals(world.machines.map((machine) => machine.holds(machine.routes[0]!)), [
      false,
      false,
    ]);
    cut(world, -1);
    const bound = recoveryBounds(world.machines[0]!, world.machines[1]!).path;
    await pass(world, bound);
    assertEquals(world.machines.map((machine) => machine.holds(machine.routes[0]!)), [true, true]);
  }
});

Deno.test("a Down that arrives within a detect time of coming Up is stale; a later one counts", async () => {
  const { world, puppet } = withPuppet();
  await pass(world, 1 * S);
  puppet.say(State.Init);
  await pass(world, 100 * MS);
  assertEquals(sessionOf(world).state, "up");
  puppet.say(State.Down);
  puppet.say(State.Down, { peerDiscr: 0 });
  await pass(world, 100 * MS);
  const session = sessionOf(world);
  assertEquals(session.state, "up");
  assertEquals(session.rx_packets, 3);
  const stop = puppet.beAlive();
  await pass(world, DETECT);
  stop();
  puppet.say(State.Down);
  await pass(world, 10 * MS);
  assertEquals(sessionOf(world).reason, "remote_down");
});

Deno.test("a peer that restarts within the detect time is learned anew and stays Up", async () => {
  const { world, puppet, daemon } = withPuppet();
  puppet.beAlive();
  await pass(world, 5 * S);
  assertEquals(puppet.last.peerDiscr, 4711);
  puppet.discriminator = 4712;
  await pass(world, 5 * S);
  assertEquals(puppet.last.peerDiscr, 4712);
  assertEquals(sessionOf(world).state, "up");
  assertEquals(routeOf(world).withdraws, 0);
  assert(daemon.holds(daemon.routes[0]!));
});

Deno.test("a peer that restarts after it was given up comes back, whatever it is called now", async () => {
  const world = scene({ liveness: { backoffMaxUs: 2 * S } });
  for (let restarts = 0; restarts < 5; restarts++) {
    await pass(world, 10 * S);
    assertEquals(sessionOf(world, 0).state, "up");
    world.machines[1]!.crash();
    await pass(world, 5 * S);
    assertEquals(sessionOf(world, 0).reason, "timeout");
    world.machines[1]!.start();
  }
  await pass(world, 10 * S);
  assertEquals([0, 1].map((index) => sessionOf(world, index).state), ["up", "up"]);
});

Deno.test("a stall of 2 s condemns nobody whose packets wait in the socket", async () => {
  const peers = [1, 2, 3];
  const world = scene({
    machines: 4,
    puppets: peers,
    routes: (index) => index === 0 ? peers.map((peer) => route(0, peer)) : [],
  });
  for (const peer of peers) new Puppet(world, peer).beAlive();
  await pass(world, 5 * S);
  const daemon = world.machines[0]!;
  const { process } = daemon;
  assertEquals(managerOf(daemon).counts().sessions.up, 3);
  process!.stall();
  await pass(world, 2 * S);
  daemon.resume(process!);
  await pass(world, 5 * S);
  assertEquals(world.reports.get("local_stall"), 1);
  assertEquals([...managerOf(daemon).sessions()].map(({ state, flaps }) => [state, flaps]), [
    ["up", 0],
    ["up", 0],
    ["up", 0],
  ]);
  assertEquals(world.network.counters.overflowed, 0);
});

Deno.test("nobody is condemned as long as more packets may wait than one turn has read", async () => {
  const world = scene({
    machines: 3,
    puppets: [1, 2],
    routes: (index) => index === 0 ? [route(0, 1), route(0, 2)] : [],
  });
  const [talkative, slow] = [new Puppet(world, 1), new Puppet(world, 2)];
  const stops = [talkative.beAlive(), slow.beAlive()];
  await pass(world, 5 * S);
  for (const stop of stops) stop();
  await pass(world, 300 * MS);
  talkative.repeat(50 * MS, () => talkative.say(State.Up));
  slow.repeat(800 * MS, () => slow.say(State.Up));
  await pass(world, 2 * DELAY);
  const daemon = world.machines[0]!;
  const { process } = daemon;
  process!.stall();
  await pass(world, DETECT + 50 * MS);
  const [endpoint] = process!.transport.endpoints();
  const sources = endpoint!.waiting.map(({ from }) => from);
  assertGreater(sources.indexOf(2), 10);
  daemon.resume(process!);
  await pass(world, 100 * MS);
  assertEquals([...managerOf(daemon).sessions()].map(({ flaps }) => flaps), [0, 0]);
});

Deno.test("after a stall a peer that fell silent meanwhile is given up all the same", async () => {
  const { world, puppet, daemon } = withPuppet();
  const stop = puppet.beAlive();
  await pass(world, 5 * S);
  const { process } = daemon;
  process!.stall();
  await pass(world, 100 * MS);
  stop();
  await pass(world, 2 * S);
  daemon.resume(process!);
  await pass(world, DETECT + 10 * MS);
  assertEquals(sessionOf(world).reason, "timeout");
});

Deno.test("admin down tells the peer once and keeps still; admin up starts over", async () => {
  const { world, puppet, daemon } = withPuppet();
  puppet.beAlive();
  await pass(world, 5 * S);
  const key = { dev: DEV, src: addressOf(0), peer: addressOf(1) };
  assertEquals(managerOf(daemon).setAdmin(key, "down"), { ok: true });
  const from = world.queue.now;
  await pass(world, 20 * S);
  const said = puppet.heard.filter(({ at }) => at > from + DELAY).map(({ packet }) => packet.state);
  assertEquals(said, [State.AdminDown]);
  assertEquals(sessionOf(world).reason, "local_admin");
  assertEquals(daemon.holds(daemon.routes[0]!), false);
  managerOf(daemon).setAdmin(key, "up");
  await pass(world, 3 * TX);
  assertEquals(sessionOf(world).state, "up");
  assert(daemon.holds(daemon.routes[0]!));
});

Deno.test("a peer that is administratively down takes our route with it at once", async () => {
  const world = scene();
  await pass(world, 5 * S);
  const [left, right] = world.machines as [Machine, Machine];
  managerOf(left).setAdmin({ dev: DEV, src: addressOf(0), peer: addressOf(1) }, "down");
  await pass(world, TX + 10 * MS);
  assertEquals(sessionOf(world, 1).reason, "remote_admin");
  assertEquals(right.holds(right.routes[0]!), false);
});

Deno.test("coming up is timed from the first packet of the handshake that led to it", async () => {
  const lines: string[] = [];
  const { world, puppet } = withPuppet({ trace: (line) => lines.push(line) });
  const stop = puppet.beAlive();
  await pass(world, 5 * S);
  puppet.discriminator = 4712;
  await pass(world, 100 * S);
  stop();
  puppet.say(State.AdminDown);
  await pass(world, 10 * S);
  puppet.beAlive();
  await pass(world, 3 * TX);
  const took = lines.flatMap((line) => /"to":"up","after_us":(\d+)/.exec(line)?.[1] ?? []);
  assertEquals(took.length, 2);
  for (const us of took) assertLessOrEqual(Number(us), 2 * TX);
});

Deno.test("a peer that speaks more often from now on is detected by its new interval", async () => {
  const { world, puppet } = withPuppet();
  const slow = { desiredMinTxUs: 2 * S };
  const stop = puppet.repeat(
    S,
    () => puppet.say(world.queue.now > S ? State.Up : State.Init, slow),
  );
  await pass(world, 5 * S);
  stop();
  assertEquals(sessionOf(world).detect_time_us, 6 * S);
  puppet.say(State.Up);
  await pass(world, DETECT + 10 * MS);
  assertEquals(sessionOf(world).reason, "timeout");
});

Deno.test("a peer that wants packets more often gets the next one within its new interval", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const { world, puppet } = withPuppet({ seed });
    const slow = { requiredMinRxUs: 3 * S };
    const stop = puppet.repeat(
      TX,
      () => puppet.say(world.queue.now > S ? State.Up : State.Init, slow),
    );
    await pass(world, 15 * S);
    stop();
    assertEquals(sessionOf(world).tx_interval_us, 3 * S);
    const last = puppet.heard.at(-1)!.at;
    puppet.say(State.Up);
    const asked = world.queue.now;
    await pass(world, 2 * TX);
    const next = puppet.heard.find(({ at }) => at > last)!.at;
    assertLessOrEqual(next, Math.max(last + 1.1 * TX, asked) + 2 * DELAY + 2 * MS);
    assertGreaterOrEqual(next - last, 0.9 * TX - 1 * MS);
  }
});

Deno.test("when a lost address returns the peer is probed within a second, not when backoff ends", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const world = scene({ seed });
    await pass(world, 5 * S);
    const [machine] = world.machines as [Machine];
    machine.host.removeAddress(machine.address);
    await pass(world, 200 * S);
    assertMatch(sessionOf(world).reason!, /^endpoint: /);
    assertEquals(world.reports.get("endpoint_lost"), 1);
    machine.host.addAddress(machine.address, DEV);
    await pass(world, 1 * S + 3 * TX + 10 * MS);
    assertEquals([0, 1].map((index) => sessionOf(world, index).state), ["up", "up"]);
  }
});
