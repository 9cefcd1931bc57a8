/**
 * A peer that does what the protocol's description says, to the letter, and nothing else: written from the
 * description alone, to see what others see of us. `letter_peer_child.ts SELF PEER INTERVAL_MS MULT GATEWAY`
 *
 * It keeps the route to PEER through GATEWAY, with `ip`, exactly while its session is Up. Each thing that
 * happens is a line of JSON on standard output: `{at, what, …}`, `at` in ms since the Unix epoch.
 */
const [self, peer, interval, multiplier, gateway] = Deno.args as [string, string, ...string[]];
const PORT = 44880;
const FLOOR = 50;
const CEILING = 3_000;
const BACKOFF_MAX = 1_000;
const tx = Number(interval);
const mult = Number(multiplier);

const [ADMIN_DOWN, DOWN, INIT, UP] = [0, 1, 2, 3];
const NAMES = ["admin_down", "down", "init", "up"];
const local = (crypto.getRandomValues(new Uint32Array(1))[0]! | 1) >>> 0;

let state = DOWN;
let remote = 0;
let factor = 1;
let peerTx = 0;
let peerRx = 0;
let lastSent = -Infinity;
let lastHeard = 0;
let deadline = Infinity;
let upSince = 0;
let pending: ReturnType<typeof setTimeout> | undefined;

const clamp = (ms: number) => Math.min(CEILING, Math.max(FLOOR, ms));
const txInterval = () => clamp(Math.max(tx, peerRx));
const detectTime = () => mult * clamp(Math.max(peerTx, tx));

const socket = Deno.listenDatagram({ transport: "udp", hostname: self, port: PORT });
tell("started", {});
schedule(10);
setInterval(() => performance.now() >= deadline && enter(DOWN, "timeout"), 5);
for await (const [bytes, from] of socket) {
  if ((from as Deno.NetAddr).hostname === peer) receive(bytes);
}

function receive(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 40 || bytes[3] !== 40 || bytes[0]! >> 5 !== 1 || bytes[2] === 0) return;
  const now = performance.now();
  const said = bytes[1]! >> 6;
  const [theirs, echo] = [view.getUint32(4), view.getUint32(8)];
  tell("heard", {
    said: NAMES[said],
    discriminator: theirs,
    echo: echo === local,
    ignored: echo !== 0 && echo !== local,
    gap: Math.round(now - lastHeard),
  });
  if (echo !== 0 && echo !== local) return;
  if (said === ADMIN_DOWN) return enter(DOWN, "remote_admin");
  if (said === DOWN && state >= INIT) {
    if (state === UP && now - upSince < detectTime()) return;
    return enter(DOWN, "remote_down");
  }
  if (remote === 0) remote = theirs;
  peerTx = clamp(view.getUint32(12) / 1e3);
  peerRx = clamp(view.getUint32(16) / 1e3);
  lastHeard = now;
  deadline = now + detectTime();
  const confirmed = echo === local && said >= INIT;
  if (state === DOWN) enter(confirmed ? UP : INIT, "none");
  else if (state === INIT && confirmed) enter(UP, "none");
  else if (state === UP && theirs !== 0 && theirs !== remote) remote = theirs;
}

function enter(next: number, reason: string): void {
  if (next === DOWN) deadline = Infinity;
  factor = 1;
  if (next === state) return;
  const from = state;
  state = next;
  if (next === UP) upSince = performance.now();
  tell("state", { from: NAMES[from], to: NAMES[next], reason });
  if (next === UP) route("replace");
  else if (from === UP) route("del");
  schedule(Math.max(0, lastSent + txInterval() - performance.now()));
}

function schedule(afterMs: number): void {
  clearTimeout(pending);
  pending = setTimeout(transmit, afterMs);
}

async function transmit(): Promise<void> {
  const view = new DataView(new ArrayBuffer(40));
  view.setUint8(0, 1 << 5);
  view.setUint8(1, state << 6);
  view.setUint8(2, mult);
  view.setUint8(3, 40);
  view.setUint32(4, local);
  view.setUint32(8, remote);
  view.setUint32(12, tx * 1e3);
  view.setUint32(16, tx * 1e3);
  lastSent = performance.now();
  let mean = txInterval();
  if (state === DOWN) {
    mean = Math.min(mean * factor, BACKOFF_MAX);
    if (mean < BACKOFF_MAX) factor *= 2;
  } else factor = 1;
  schedule(mean * (0.9 + 0.2 * Math.random()));
  const to: Deno.NetAddr = { transport: "udp", hostname: peer, port: PORT };
  const bytes = new Uint8Array(view.buffer);
  // An earlier packet's refusal comes back instead of this one's success: then this one is lost.
  await socket.send(bytes, to).catch(() => tell("not sent", {}));
}

function route(verb: string): void {
  const words = `route ${verb} ${peer}/32 via ${gateway} src ${self} proto bgp`;
  new Deno.Command("ip", { args: words.split(" ") }).outputSync();
}

function tell(what: string, details: Record<string, unknown>): void {
  console.log(JSON.stringify({ at: Date.now(), what, ...details }));
}
