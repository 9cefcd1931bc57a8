import { assertEquals } from "@std/assert";
import {
  microseconds,
  routeState,
  spanWords,
  whyRoute,
  whySession,
} from "../../../src/cli/wording.ts";
import { route, session } from "../api/fake_daemon.ts";

const NOW = Date.parse("2023-11-14T22:13:32.123Z");

Deno.test("time spans are said in the two units that matter", () => {
  const spans: [number, string][] = [
    [-5, "0 ms"],
    [850, "850 ms"],
    [12_900, "12 s"],
    [60_000, "1 min"],
    [200_000, "3 min 20 s"],
    [7_500_000, "2 h 5 min"],
    [356_400_000, "4 d 3 h"],
  ];
  for (const [ms, words] of spans) assertEquals(spanWords(ms), words);
  assertEquals([850, 1_234, 3_050_000].map(microseconds), ["850 us", "1.23 ms", "3.05 s"]);
});

Deno.test("a session that was never up is told from one that was up and failed", () => {
  const why = (given: Parameters<typeof session>[0]) => whySession(session(given), NOW);
  const down = { state: "down" } as const;
  assertEquals(why({}), "");
  assertEquals(
    why({ ...down, reason: "never_up", was_up: false }),
    "never up: nothing heard yet",
  );
  assertEquals(why({ ...down, reason: "timeout" }), "was up, failed 12 s ago: timeout");
  assertEquals(
    why({ ...down, reason: "remote_down" }),
    "was up, failed 12 s ago: the peer says down",
  );
  assertEquals(
    why({ ...down, reason: "endpoint: interface tun0 does not exist", was_up: false }),
    "never up: interface tun0 does not exist",
  );
  assertEquals(why({ state: "admin_down", reason: "local_admin" }), "taken down here");
  assertEquals(why({ state: "init" }), "the peer is heard, but does not hear us yet");
});

Deno.test("a send that fails is part of the reason", () => {
  const failing = { send_errors: 3, send_error: "connection refused" };
  assertEquals(
    whySession(session({ ...failing, state: "down", reason: "timeout" }), NOW),
    "was up, failed 12 s ago: timeout; sending fails: connection refused",
  );
  assertEquals(whySession(session(failing), NOW), "sending fails: connection refused");
});

Deno.test("a route says what the kernel has of it, and why not", () => {
  assertEquals([routeState(route()), whyRoute(route())], ["installed", ""]);
  const missing = route({ installed: false, reason: "kernel: Network is unreachable" });
  assertEquals([routeState(missing), whyRoute(missing)], [
    "missing",
    "kernel: Network is unreachable",
  ]);
  const withdrawn = route({ installed: false, desired: false, reason: "session: timeout" });
  assertEquals([routeState(withdrawn), whyRoute(withdrawn)], [
    "withdrawn",
    "session down: timeout",
  ]);
  assertEquals(routeState(route({ excluded: true, installed: false })), "excluded");
});
