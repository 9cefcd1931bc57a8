import { assertEquals, assertLess } from "@std/assert";
import { bothUp, pause, TwoHosts } from "./harness.ts";

const REQUESTS = 400;
const REQUEST = new TextEncoder().encode(
  "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
);

/** How long one request takes on a connection of its own, ms. */
async function answerMs(socket: string): Promise<number> {
  const asked = performance.now();
  using connection = await Deno.connect({ transport: "unix", path: socket });
  await connection.write(REQUEST);
  const bytes = new Uint8Array(4_096);
  const read = await connection.read(bytes);
  assertEquals(
    new TextDecoder().decode(bytes.subarray(0, read ?? 0)).slice(0, 15),
    "HTTP/1.1 200 OK",
  );
  return performance.now() - asked;
}

Deno.test("a request is answered at once at whatever moment it comes to a quiet daemon", async () => {
  await using hosts = await TwoHosts.create("answer");
  const [daemon] = await bothUp(hosts);
  let slowest = 0;
  for (let i = 0; i < REQUESTS; i++) {
    // Spread evenly over the moments at which the process may be about to wait for packets.
    await pause(10 + (i * 37) % 40);
    slowest = Math.max(slowest, await answerMs(daemon.socket));
  }
  assertLess(slowest, 1_000);
});
