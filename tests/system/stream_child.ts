/**
 * Two-way traffic from inside a namespace: `stream_child.ts SELF PEER PORT`. At a line on standard input it
 * begins to send numbered datagrams to its like at PEER, one every 4 ms; at the second it ends and answers
 * `{"sent": N}`; at the third it answers `{"received": N}`: how many different ones have arrived.
 */
const [hostname, peer, port] = Deno.args as [string, string, string];
const socket = Deno.listenDatagram({ transport: "udp", hostname, port: Number(port) });
const to: Deno.NetAddr = { transport: "udp", hostname: peer, port: Number(port) };
const arrived = new Set<number>();
let sent = 0;

(async () => {
  for (;;) {
    // A refusal by the other host is no end.
    const datagram = await socket.receive().catch(() => null);
    if (datagram !== null) arrived.add(new DataView(datagram[0].buffer).getUint32(0));
  }
})();
function send(): void {
  const payload = new DataView(new ArrayBuffer(64));
  payload.setUint32(0, sent++);
  // One that cannot be sent is one that does not arrive.
  socket.send(new Uint8Array(payload.buffer), to).catch(() => {});
}

console.log('{"ready": true}');
const lines = Deno.stdin.readable.getReader();
await lines.read();
const sending = setInterval(send, 4);
console.log('{"sending": true}');
await lines.read();
clearInterval(sending);
console.log(JSON.stringify({ sent }));
await lines.read();
console.log(JSON.stringify({ received: arrived.size }));
Deno.exit(0);
