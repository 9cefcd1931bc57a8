import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type ApiServer, serveTcp, serveUnix } from "../../../src/api/server.ts";
import { SocketError } from "../../../src/api/unix_socket.ts";

const hello = () => Promise.resolve(new Response("hello"));

async function inDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync();
  try {
    await use(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

async function get(path: string): Promise<string> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  const response = await fetch("http://127.0.0.1/", { client });
  return await response.text();
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Leaves a socket file behind that nobody serves, as a killed daemon does. */
function leaveStale(path: string): void {
  const listener = Deno.listen({ transport: "unix", path: `${path}.live` });
  Deno.linkSync(`${path}.live`, path);
  listener.close();
}

Deno.test("the control socket has mode 0660, also under an odd umask, and goes with the server", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/run/livenessd.sock`;
    const umask = Deno.umask(0);
    let server: ApiServer;
    try {
      server = await serveUnix(path, null, hello);
      assertEquals(Deno.umask(), 0);
    } finally {
      Deno.umask(umask);
    }
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o660);
    assertEquals(server.address, path);
    assertEquals(await get(path), "hello");
    await server.close();
    assertEquals(exists(path), false);
  });
});

Deno.test("a second daemon is refused and the first keeps its socket", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/livenessd.sock`;
    const server = await serveUnix(path, null, hello);
    const error = await assertRejects(() => serveUnix(path, null, hello), SocketError);
    assertEquals(error.message, `another livenessd is already answering at ${path}`);
    assertEquals(await get(path), "hello");
    await server.close();
  });
});

Deno.test("of two daemons that start at once one wins and serves", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/livenessd.sock`;
    leaveStale(path);
    const results = await Promise.allSettled([
      serveUnix(path, null, hello),
      serveUnix(path, null, hello),
    ]);
    assertEquals(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    assertEquals(await get(path), "hello");
    for (const result of results) if (result.status === "fulfilled") await result.value.close();
  });
});

Deno.test("a socket that a killed daemon left is replaced", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/livenessd.sock`;
    leaveStale(path);
    assertEquals(exists(path), true);
    const server = await serveUnix(path, null, hello);
    assertEquals(await get(path), "hello");
    await server.close();
  });
});

Deno.test("a file that is no socket is left alone", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/livenessd.sock`;
    Deno.writeTextFileSync(path, "precious");
    const error = await assertRejects(() => serveUnix(path, null, hello), SocketError);
    assertStringIncludes(error.message, `${path} exists and is not a socket`);
    assertEquals(Deno.readTextFileSync(path), "precious");
  });
});

Deno.test("a socket that another process put in place of ours is not removed", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/livenessd.sock`;
    const server = await serveUnix(path, null, hello);
    Deno.removeSync(path);
    const other = await serveUnix(path, null, () => Promise.resolve(new Response("other")));
    await server.close();
    assertEquals(await get(path), "other");
    await other.close();
  });
});

Deno.test("an unknown group and a directory that cannot be made are named", async () => {
  await inDirectory(async (directory) => {
    const path = `${directory}/livenessd.sock`;
    const group = await assertRejects(() => serveUnix(path, "no-such-group", hello), SocketError);
    assertStringIncludes(group.message, "no-such-group");
    assertEquals(exists(path), false);
    Deno.writeTextFileSync(`${directory}/file`, "");
    const inFile = `${directory}/file/livenessd.sock`;
    const error = await assertRejects(() => serveUnix(inFile, null, hello), SocketError);
    assertStringIncludes(error.message, `cannot make the control socket ${inFile}`);
  });
});

Deno.test("the group's members may use the socket", async () => {
  // Root may give a file to any group, others only to their own.
  const gid = Deno.uid() === 0 ? 1 : Deno.gid();
  const groups = Deno.readTextFileSync("/etc/group").split("\n").map((line) => line.split(":"));
  const group = groups.find(([, , number]) => Number(number) === gid)?.[0] ?? String(gid);
  await inDirectory(async (directory) => {
    const path = `${directory}/livenessd.sock`;
    const server = await serveUnix(path, group, hello);
    const info = Deno.statSync(path);
    assertEquals([info.gid, info.mode! & 0o777], [gid, 0o660]);
    await server.close();
  });
});

Deno.test("TCP gets the port that was chosen, and one in use is named", async () => {
  const server = serveTcp("127.0.0.1", 0, hello);
  const [host, port] = server.address.split(":");
  assertEquals(host, "127.0.0.1");
  const response = await fetch(`http://${server.address}/`);
  assertEquals(await response.text(), "hello");
  assertThrows(
    () => serveTcp("127.0.0.1", Number(port), hello),
    Error,
    `cannot listen on 127.0.0.1:${port}`,
  );
  await server.close();
});
