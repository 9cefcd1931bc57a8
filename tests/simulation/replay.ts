/** `deno run -A tests/simulation/replay.ts SEED`: runs one world again and tells its story. */
import { World } from "./world.ts";

const seed = Number(Deno.args[0]);
if (Deno.args.length !== 1 || !Number.isSafeInteger(seed)) {
  console.error(
    `usage: replay.ts SEED, where SEED is a whole number; given: ${Deno.args.join(" ")}`,
  );
  Deno.exit(2);
}
const world = new World({ seed, trace: (line) => console.log(line) });
try {
  await world.live();
  console.log(`seed ${seed} holds; ${world.queue.fired} events, hash ${world.hash}`);
} catch (error) {
  console.log(`seed ${seed} fails ${error instanceof Error ? error.stack : error}`);
  Deno.exit(1);
}
