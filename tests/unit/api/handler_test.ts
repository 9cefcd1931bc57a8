import { assert, assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { controlHandler, observingHandler } from "../../../src/api/handler.ts";
import { FakeDaemon, kernelRoute, route, session } from "./fake_daemon.ts";

const JSON_TYPE = "application/json";

function ask(
  daemon: FakeDaemon,
  method: string,
  path: string,
  body?: BodyInit,
): Promise<Response> {
  const request = new Request(`http://livenessd${path}`, { method, body: body ?? null });
  return controlHandler(daemon)(request);
}

async function json(response: Response): Promise<unknown> {
  assertEquals(response.headers.get("content-type"), JSON_TYPE);
  return await response.json();
}

/** The objects of a piece of an NDJSON answer. */
function linesOf(piece: string | undefined): { seq?: number; kind: string }[] {
  return (piece ?? "").trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Reads a problem document and checks its form. */
async function problem(response: Response, status: number): Promise<Record<string, unknown>> {
  assertEquals(response.status, status);
  assertEquals(response.headers.get("content-type"), "application/problem+json");
  const document = await response.json();
  assertEquals([document.type, document.status], ["about:blank", status]);
  assert(typeof document.title === "string" && typeof document.detail === "string");
  return document;
}

Deno.test("GET /v1/sessions and /v1/routes answer the manager's snapshots", async () => {
  const daemon = new FakeDaemon();
  assertEquals(await json(await ask(daemon, "GET", "/v1/sessions")), []);
  daemon.sessions = [session(), session({ peer: "10.1.0.2" })];
  daemon.routes = [route()];
  assertEquals(await json(await ask(daemon, "GET", "/v1/sessions")), daemon.sessions);
  assertEquals(await json(await ask(daemon, "GET", "/v1/routes")), daemon.routes);
  assertEquals(await json(await ask(daemon, "GET", "/v1/status")), daemon.statusDocument);
});

Deno.test("GET /v1/sessions answers the sessions that fit, those of a peer with their history", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [session(), session({ dev: "tun1" }), session({ peer: "10.1.0.2" })];
  const [one, other, third] = daemon.sessions;
  const subject = { dev: one!.dev, src: one!.src, peer: one!.peer };
  daemon.events.report("session_state", { session: subject, from: "init", to: "up" });
  const history = [{
    seq: 1,
    time: "2023-11-14T22:13:20.123Z",
    kind: "session_state",
    session: subject,
    from: "init",
    to: "up",
  }];
  const answer = async (query: string) =>
    await json(await ask(daemon, "GET", `/v1/sessions?${query}`));
  assertEquals(await answer("dev=tun0"), [one, third]);
  assertEquals(await answer(`peer=${one!.peer}`), [{ ...one, history }, { ...other, history: [] }]);
  assertEquals(await answer(`peer=${one!.peer}&dev=tun1`), [{ ...other, history: [] }]);
  assertEquals(await answer("peer=10.9.9.9"), []);
  const refused = await problem(await ask(daemon, "GET", "/v1/sessions?pear=1"), 400);
  assertEquals(
    refused.detail,
    'there is no parameter "pear"; allowed are peer, dev, src',
  );
});

Deno.test("a long answer is made in slices between which the loop runs", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = Array.from({ length: 5_000 }, (_, i) => session({ peer: `10.1.${i}` }));
  const seen: string[] = [];
  setTimeout(() => seen.push("timer"), 0);
  const answer = await json(await ask(daemon, "GET", "/v1/sessions"));
  seen.push("answer");
  assertEquals(answer, daemon.sessions);
  assertEquals(daemon.pauses, Math.floor(5_000 / 256));
  assertEquals(seen, ["timer", "answer"]);
});

Deno.test("nothing is made for a client that went away", async () => {
  const daemon = new FakeDaemon();
  let made = 0;
  const sessions = function* () {
    for (; made < 100_000; made++) yield session();
  };
  daemon.manager.sessions = () =>
    sessions() as unknown as ArrayIterator<ReturnType<typeof session>>;
  const response = await ask(daemon, "GET", "/v1/sessions");
  const reader = response.body!.getReader();
  assertEquals((await reader.read()).done, false);
  await reader.cancel();
  assert(made > 0 && made <= 512, `${made} made`);
});

Deno.test("GET /routes is the reference's form: sorted, reason while down, kernel's others last", async () => {
  const daemon = new FakeDaemon();
  daemon.routes = [
    route({ dst: "10.1.0.2/32", probe: "10.1.0.2", desired: false, installed: false }),
    route(),
    route({ dst: "10.1.0.9/32", probe: "10.1.0.9", excluded: true, installed: false }),
  ];
  daemon.sessions = [
    session(),
    session({ peer: "10.1.0.2", state: "down", reason: "timeout", peer_mode: "unknown" }),
    session({ peer: "10.1.0.9", state: "admin_down", reason: "local_admin" }),
  ];
  daemon.kernel = {
    ok: true,
    routes: [
      kernelRoute(),
      kernelRoute({ dst: "10.9.0.0/16", src: null }),
      // The same destination through another next hop is another route.
      kernelRoute({ dst: "10.1.0.2/32", via: "10.0.0.77" }),
    ],
  };
  const liveness = {
    liveness_last_updated: "2023-11-14T22:13:20Z",
    peer_client_version: "0.1.0",
  };
  assertEquals(await json(await ask(daemon, "GET", "/routes")), [
    {
      network: "10.1.0.1/32",
      local_ip: "10.0.0.1",
      peer_ip: "10.1.0.1",
      kernel_state: "present",
      ...liveness,
      liveness_state: "up",
      liveness_expected_kernel_state: "present",
      liveness_peer_mode: "active",
    },
    {
      network: "10.1.0.2/32",
      local_ip: "10.0.0.1",
      peer_ip: "10.1.0.2",
      kernel_state: "absent",
      ...liveness,
      liveness_state: "down",
      liveness_state_reason: "timeout",
      liveness_expected_kernel_state: "absent",
      liveness_peer_mode: "unknown",
    },
    {
      network: "10.1.0.2/32",
      local_ip: "10.0.0.1",
      peer_ip: "10.1.0.2",
      kernel_state: "present",
    },
    {
      network: "10.1.0.9/32",
      local_ip: "10.0.0.1",
      peer_ip: "10.1.0.9",
      kernel_state: "absent",
      ...liveness,
      liveness_state: "admin_down",
      liveness_state_reason: "local_admin",
      liveness_expected_kernel_state: "unknown",
      liveness_peer_mode: "active",
    },
    { network: "10.9.0.0/16", local_ip: "", peer_ip: "10.9.0.0", kernel_state: "present" },
  ]);
});

Deno.test("GET /routes sorts tens of thousands of routes in slices", async () => {
  const daemon = new FakeDaemon();
  const dst = (i: number) => `10.${(i * 7_919) % 251}.${i % 256}.${i >> 8}/32`;
  daemon.routes = Array.from({ length: 10_000 }, (_, i) => route({ dst: dst(i) }));
  const rows = await json(await ask(daemon, "GET", "/routes")) as { network: string }[];
  const networks = rows.map(({ network }) => network);
  assertEquals(networks, daemon.routes.map(({ dst }) => dst).sort());
  assertGreater(daemon.pauses, 80);
});

Deno.test("GET /routes says when the kernel does not list its routes", async () => {
  const daemon = new FakeDaemon();
  daemon.kernel = { ok: false, error: { code: "closed", errno: 0, text: "socket closed" } };
  const { detail } = await problem(await ask(daemon, "GET", "/routes"), 503);
  assertEquals(detail, "the kernel did not list its routes: socket closed");
});

Deno.test("POST /v1/routes registers the route that the body describes", async () => {
  const daemon = new FakeDaemon();
  const body = { dst: "10.2.0.0/16", via: "10.0.0.2", dev: "tun0", src: "10.0.0.1" };
  const response = await ask(
    daemon,
    "POST",
    "/v1/routes",
    JSON.stringify({ ...body, table: "main", probe: "10.2.0.1", no_uninstall: true }),
  );
  assertEquals(response.status, 201);
  assertEquals(await json(response), {
    ...body,
    table: 254,
    probe: "10.2.0.1",
    no_uninstall: true,
  });
  const wanted = { ...body, table: 254, probe: "10.2.0.1", noUninstall: true };
  assertEquals(daemon.registered, [wanted]);
});

Deno.test("POST /v1/routes names every problem of a bad route and registers nothing", async () => {
  const daemon = new FakeDaemon();
  const body = JSON.stringify({ dst: "10.2.0.0/99", via: "nowhere", dev: "tun0", colour: 1 });
  const { detail, problems } = await problem(await ask(daemon, "POST", "/v1/routes", body), 422);
  assertEquals((problems as string[]).length, 4);
  for (const part of ["10.2.0.0/99", "nowhere", "src", "colour"]) {
    assertStringIncludes(detail as string, part);
  }
  assertEquals(daemon.registered, []);
});

Deno.test("the manager's refusals become 409, 404 and 422 with its words", async () => {
  const daemon = new FakeDaemon();
  const body = JSON.stringify({
    dst: "10.2.0.1/32",
    via: "10.0.0.2",
    dev: "tun0",
    src: "10.0.0.1",
  });
  const expected = { duplicate: 409, conflict: 409, not_found: 404, invalid: 422 } as const;
  for (const [code, status] of Object.entries(expected)) {
    daemon.outcome = { ok: false, code: code as keyof typeof expected, message: `it is ${code}` };
    const { detail, ...rest } = await problem(
      await ask(daemon, "POST", "/v1/routes", body),
      status,
    );
    assertEquals([detail, rest.code], [`it is ${code}`, code]);
  }
});

Deno.test("DELETE /v1/routes withdraws the one route that fits, by query or body", async () => {
  const daemon = new FakeDaemon();
  daemon.routes = [route(), route({ table: 100 }), route({ dst: "10.3.0.0/16" })];
  const key = { dst: "10.3.0.0/16", via: "10.0.0.2", dev: "tun0", src: "10.0.0.1", table: 254 };
  assertEquals(await json(await ask(daemon, "DELETE", "/v1/routes?dst=10.3.0.0/16")), key);
  const other = { ...key, dst: "10.1.0.1/32", table: 100 };
  const body = JSON.stringify({ dst: "10.1.0.1", table: 100 });
  assertEquals(await json(await ask(daemon, "DELETE", "/v1/routes", body)), other);
  const main = await ask(daemon, "DELETE", "/v1/routes?dst=10.1.0.1&table=main&dev=tun0");
  assertEquals(await json(main), { ...other, table: 254 });
  assertEquals(daemon.withdrawn, [key, other, { ...other, table: 254 }]);
});

Deno.test("DELETE /v1/routes refuses what is unclear, unknown or misspelt, and withdraws nothing", async () => {
  const daemon = new FakeDaemon();
  daemon.routes = [route(), route({ table: 100 })];
  const refusal = async (query: string, status: number) =>
    await problem(await ask(daemon, "DELETE", `/v1/routes?${query}`), status);
  const { detail, candidates } = await refusal("dst=10.1.0.1", 409);
  assertEquals(detail, "10.1.0.1 fits 2 routes: say via, dev, src or table, too");
  assertEquals((candidates as { table: number }[]).map(({ table }) => table), [254, 100]);
  assertEquals((await refusal("dst=10.7.0.1", 404)).detail, "there is no wanted route 10.7.0.1");
  assertStringIncludes((await refusal("via=10.0.0.2", 400)).detail as string, "dst is missing");
  assertStringIncludes((await refusal("dts=10.0.0.2", 400)).detail as string, '"dts"');
  assertStringIncludes((await refusal("dst=10.1.0.1&table=foo", 400)).detail as string, '"foo"');
  assertEquals(daemon.withdrawn, []);
});

Deno.test("POST /v1/sessions/admin takes the one session of a peer down and up", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [session(), session({ peer: "10.1.0.2" })];
  const body = JSON.stringify({ peer: "10.1.0.2", state: "down" });
  const key = { dev: "tun0", src: "10.0.0.1", peer: "10.1.0.2" };
  const answer = await json(await ask(daemon, "POST", "/v1/sessions/admin", body));
  assertEquals(answer, { ...key, state: "down" });
  await ask(daemon, "POST", "/v1/sessions/admin", JSON.stringify({ ...key, state: "up" }));
  assertEquals(daemon.admin, [{ ...key, state: "down" }, { ...key, state: "up" }]);
});

Deno.test("POST /v1/sessions/admin lists the candidates when a peer has several sessions", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [
    session(),
    session({ dev: "tun1" }),
    session({ dev: "tun1", src: "10.0.9.1" }),
  ];
  const admin = async (key: Record<string, unknown>, status: number) =>
    await problem(
      await ask(daemon, "POST", "/v1/sessions/admin", JSON.stringify({ state: "down", ...key })),
      status,
    );
  const all = await admin({ peer: "10.1.0.1" }, 409);
  assertEquals((all.candidates as unknown[]).length, 3);
  const some = await admin({ peer: "10.1.0.1", dev: "tun1" }, 409);
  assertEquals(some.candidates, [
    { dev: "tun1", src: "10.0.0.1", peer: "10.1.0.1" },
    { dev: "tun1", src: "10.0.9.1", peer: "10.1.0.1" },
  ]);
  assertEquals(
    (await admin({ peer: "10.7.0.1" }, 404)).detail,
    "there is no session with peer 10.7.0.1",
  );
  const { problems } = await admin({ peer: "", state: "sideways", colour: 1 }, 422);
  assertEquals(problems, [
    'peer must not be empty, got ""',
    'state must be "down" or "up", got "sideways"',
    'there is no "colour"; allowed are dev, src, peer, state',
  ]);
  assertEquals((await admin({}, 422)).detail, "peer is missing");
  assertEquals(daemon.admin, []);
});

Deno.test("a body that is no JSON object, no text or too large is refused", async () => {
  const daemon = new FakeDaemon();
  const post = async (body: BodyInit, status: number) =>
    (await problem(await ask(daemon, "POST", "/v1/routes", body), status)).detail as string;
  for (const body of ["", "{", "[]", "null", "7"]) {
    assertStringIncludes(await post(body, 400), "must be a JSON object");
  }
  assertEquals(await post(new Uint8Array([0xff, 0xfe]), 400), "the body is not UTF-8 text");
  assertStringIncludes(await post(" ".repeat(70_000), 413), "65536");
  assertEquals(daemon.errors, []);
});

Deno.test("a body that never ends is read up to the limit only", async () => {
  const daemon = new FakeDaemon();
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent += 1_024;
      controller.enqueue(new Uint8Array(1_024));
    },
  });
  await problem(await ask(daemon, "POST", "/v1/routes", endless), 413);
  assert(sent >= 65_536 && sent < 80_000, `${sent} bytes`);
});

Deno.test("unknown paths and methods are refused with what there is", async () => {
  const daemon = new FakeDaemon();
  const missing = await problem(await ask(daemon, "GET", "/v2/nothing"), 404);
  assertStringIncludes(missing.detail as string, "/v1/sessions");
  for (const path of ["/__proto__", "/constructor", "//", "/v1/routes/"]) {
    await problem(await ask(daemon, "GET", path), 404);
  }
  const response = await ask(daemon, "PUT", "/v1/routes");
  assertEquals(response.headers.get("allow"), "GET, HEAD, POST, DELETE");
  await problem(response, 405);
  await problem(await ask(daemon, "POST", "/v1/status"), 405);
});

Deno.test("no answer is cached or compressed on the way, refusals included", async () => {
  for (const path of ["/v1/sessions", "/metrics", "/nothing"]) {
    const response = await ask(new FakeDaemon(), "GET", path);
    assertEquals(response.headers.get("cache-control"), "no-store, no-transform");
    await response.body?.cancel();
  }
});

Deno.test("HEAD answers what GET would, without the body", async () => {
  const response = await ask(new FakeDaemon(), "HEAD", "/v1/sessions");
  assertEquals([response.status, response.headers.get("content-type")], [200, JSON_TYPE]);
  assertEquals(await response.text(), "");
});

Deno.test("an error that nobody foresaw is reported and answered without its details", async () => {
  const daemon = new FakeDaemon();
  daemon.failure = new Error("secret");
  const { detail } = await problem(await ask(daemon, "GET", "/v1/status"), 500);
  assert(!(detail as string).includes("secret"));
  assertEquals(daemon.errors, [daemon.failure]);
});

Deno.test("events come as NDJSON, after the number that was asked for", async () => {
  const daemon = new FakeDaemon();
  for (const to of ["init", "up", "down"]) daemon.events.report("session_state", { to });
  const response = await ask(daemon, "GET", "/v1/events?since=1");
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map(({ seq, to }) => [seq, to]), [[2, "up"], [3, "down"]]);
});

Deno.test("the history goes out to a follower in few pieces, between which the loop turns", async () => {
  const daemon = new FakeDaemon();
  for (let i = 0; i < 1_000; i++) daemon.events.report("route_installed", {});
  const response = await ask(daemon, "GET", "/v1/events?follow=true");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const pieces: number[] = [];
  let last;
  while (last !== 1_000) {
    const lines = linesOf((await reader.read()).value);
    pieces.push(lines.length);
    last = lines.at(-1)?.seq;
  }
  assertEquals(pieces, [256, 256, 256, 232]);
  assertEquals(daemon.pauses, 3);
  await reader.cancel();
});

Deno.test("followed events go on until the client leaves, with gaps told", async () => {
  const daemon = new FakeDaemon();
  daemon.events.report("session_state", { to: "up" });
  const response = await ask(daemon, "GET", "/v1/events?follow=true");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const next = async () => linesOf((await reader.read()).value);
  assertEquals((await next()).map(({ seq }) => seq), [1]);
  const waiting = next();
  daemon.events.report("session_state", { to: "down" });
  assertEquals((await waiting).map(({ seq }) => seq), [2]);
  // What one read holds on to has left the queue: a few events more are needed to overflow it.
  for (let i = 0; i < 5_000; i++) daemon.events.report("route_installed", {});
  const kinds: unknown[] = [];
  while (!kinds.includes("gap") && kinds.length < 600) {
    kinds.push(...(await next()).map(({ kind }) => kind));
  }
  assert(kinds.includes("gap"), kinds.join());
  await daemon.pause();
  await reader.cancel();
  const followers = Array.from({ length: 64 }, () => daemon.events.follow());
  assert(!followers.includes(null), "the client's follower is gone");
  await problem(await ask(daemon, "GET", "/v1/events?follow=true"), 503);
  daemon.events.close();
});

Deno.test("event queries that make no sense are refused", async () => {
  const daemon = new FakeDaemon();
  for (const query of ["since=-1", "since=x", "follow=yes", "sinc=1"]) {
    await problem(await ask(daemon, "GET", `/v1/events?${query}`), 400);
  }
});

Deno.test("/metrics, /healthz and /readyz answer on both listeners", async () => {
  const daemon = new FakeDaemon();
  for (const handle of [controlHandler(daemon), observingHandler(daemon)]) {
    const get = (path: string) => handle(new Request(`http://livenessd${path}`));
    const metrics = await get("/metrics");
    assertEquals(await metrics.text(), daemon.exposition.join(""));
    assertStringIncludes(metrics.headers.get("content-type")!, "version=0.0.4");
    assertEquals(await (await get("/healthz")).text(), "ok\n");
    daemon.readiness = { ready: true };
    assertEquals((await get("/readyz")).status, 200);
    daemon.readiness = { ready: false, reason: "the daemon is starting" };
    const readyz = await get("/readyz");
    assertEquals([readyz.status, await readyz.text()], [
      503,
      "not ready: the daemon is starting\n",
    ]);
  }
});

Deno.test("a short exposition goes out whole, between the slices of a long one the loop turns", async () => {
  const daemon = new FakeDaemon();
  const get = () => observingHandler(daemon)(new Request("http://livenessd/metrics"));
  daemon.exposition = ["a 1\n"];
  assertEquals([await (await get()).text(), daemon.pauses], ["a 1\n", 0]);
  daemon.exposition = ["a 1\n", "a 2\n", "a 3\n"];
  assertEquals([await (await get()).text(), daemon.pauses], ["a 1\na 2\na 3\n", 2]);
});

Deno.test("HEAD of the metrics is no scrape: the next one tells the maximum lag all the same", async () => {
  const daemon = new FakeDaemon();
  const response = await ask(daemon, "HEAD", "/metrics");
  assertStringIncludes(response.headers.get("content-type")!, "version=0.0.4");
  assertEquals([response.status, await response.text(), daemon.scrapes], [200, "", 0]);
});

Deno.test("the metrics listener offers nothing else, least of all what changes state", async () => {
  const daemon = new FakeDaemon();
  daemon.sessions = [session()];
  daemon.routes = [route()];
  const handle = observingHandler(daemon);
  const body = JSON.stringify({ peer: "10.1.0.1", state: "down" });
  const tries: [string, string, string | null][] = [
    ["GET", "/v1/status", null],
    ["GET", "/routes", null],
    ["POST", "/v1/sessions/admin", body],
    ["DELETE", "/v1/routes?dst=10.1.0.1", null],
    ["POST", "/v1/routes", "{}"],
  ];
  for (const [method, path, body] of tries) {
    await problem(await handle(new Request(`http://livenessd${path}`, { method, body })), 404);
  }
  assertEquals((await handle(new Request("http://x/metrics", { method: "POST" }))).status, 405);
  assertEquals([daemon.admin, daemon.withdrawn, daemon.registered], [[], [], []]);
});
