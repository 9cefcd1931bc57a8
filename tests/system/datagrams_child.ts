/**
 * Sends datagrams from inside a namespace: `datagrams_child.ts SOURCE TARGET PORT COUNT`, the payloads as a
 * JSON array of hexadecimal texts on standard input, over and over until COUNT are sent. Prints how many.
 */
const [source, target, port, count] = Deno.args;
const payloads: Uint8Array[] = JSON.parse(await new Response(Deno.stdin.readable).text())
  .map((hex: string) => Uint8Array.fromHex(hex));
const socket = Deno.listenDatagram({ transport: "udp", hostname: source, port: 0 });
const addr: Deno.NetAddr = { transport: "udp", hostname: target, port: Number(port) };
let sent = 0;
while (sent < Number(count)) {
  await socket.send(payloads[sent % payloads.length], addr);
  sent++;
}
socket.close();
console.log(sent);
