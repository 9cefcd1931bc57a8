import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { State } from "../../src/protocol/packet.ts";
import { graceUs } from "./bounds.ts";
import { cut, managerOf, MS, pass, S, scene, sessionOf, TX, withPuppet } from "./scene.ts";
import type { World } from "./world.ts";

/** Whether both machines have had their route at every moment of the next `us`. */
async function bothHold(world: World, us: number): Promise<boolean> {
  for (let passed = 0; passed < us; passed += 10 * MS) {
    await pass(world, 10 * MS);
    if (world.machines.some((machine) => !machine.holds(machine.routes[0]!))) return false;
  }
  return true;
}

/**
 * With a multiplier of 5. A restart costs at most the age of the last packet, the outage, and the wait for two
 * packets of the peer: on these networks, a packet that was refused costs the next one as well.
 */
const OUTAGE = (5 - 3 * 1.1) * TX - 20 * MS;

Deno.test("a daemon that is killed and back within the detect time goes unnoticed, again and again", async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const world = scene({ seed, liveness: { detectMult: 5 } });
    await pass(world, 5 * S);
    const [machine] = world.machines;
    for (let round = 0; round < 3; round++) {
      const before = sessionOf(world, 0).local_discriminator;
      machine!.crash();
      assert(await bothHold(world, Math.min(OUTAGE, 0.9 * TX)));
      machine!.start();
      assert(await bothHold(world, 10 * S), `seed ${seed}`);
      const here = sessionOf(world, 0);
      assertEquals([here.state, here.flaps, here.local_discriminator], ["up", 0, before]);
      assertEquals([sessionOf(world, 1).state, sessionOf(world, 1).flaps], ["up", 0]);
    }
    assertEquals(world.reports.get("route_adopted"), 3);
    assertEquals(world.reports.get("route_withdrawn"), undefined);
  }
});

Deno.test("without its state a killed daemon costs the peer a flap, and itself nothing", async () => {
  const world = scene();
  await pass(world, 5 * S);
  const [machine] = world.machines;
  machine!.crash();
  machine!.state.lose();
  machine!.start();
  for (let passed = 0; passed < 10 * S; passed += 10 * MS) {
    await pass(world, 10 * MS);
    assert(machine!.holds(machine!.routes[0]!));
  }
  assertEquals([sessionOf(world, 0).state, sessionOf(world, 1).flaps], ["up", 1]);
});

Deno.test("a path that dies together with the daemon takes the route after one grace period", async () => {
  const world = scene();
  await pass(world, 5 * S);
  const [machine] = world.machines;
  const { liveness } = machine!.config;
  machine!.crash();
  cut(world, 1);
  await pass(world, 300 * MS);
  machine!.start();
  const startedAt = world.queue.now;
  while (machine!.holds(machine!.routes[0]!)) await pass(world, 10 * MS);
  const took = world.queue.now - startedAt;
  const grace = graceUs(liveness, liveness);
  assertGreater(took, grace - 10 * MS);
  assertLess(took, grace + 20 * MS);
  assertEquals(managerOf(machine!).adoption.adopted, 1);
  cut(world, -1);
  await pass(world, 130 * S);
  assert(await bothHold(world, 1 * S));
});

Deno.test("a restarted daemon says nothing before it was spoken to, and then Up", async () => {
  const { world, puppet, daemon } = withPuppet();
  const stop = puppet.beAlive();
  await pass(world, 5 * S);
  stop();
  daemon.crash();
  const heard = puppet.heard.length;
  daemon.start();
  await pass(world, 2.35 * TX - 5 * MS);
  assertEquals(puppet.heard.length, heard);
  puppet.say(State.Up);
  await pass(world, 5 * MS);
  assertEquals(puppet.heard.length, heard + 1);
  assertEquals([puppet.last.state, puppet.last.peerDiscr], [State.Up, puppet.discriminator]);
});
