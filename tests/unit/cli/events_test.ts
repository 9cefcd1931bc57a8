import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import { main } from "../../../src/cli/program.ts";
import { asEvent } from "../../../src/observe/event.ts";
import { FakeDaemon, session } from "../api/fake_daemon.ts";
import { Console, run, withDaemon } from "./support.ts";

const SESSION = { dev: "tun0", src: "10.0.0.1", peer: "10.1.0.1" };

function daemonWithEvents(count: number): FakeDaemon {
  const daemon = new FakeDaemon();
  for (let i = 0; i < count; i++) {
    daemon.events.report("session_state", {
      session: SESSION,
      from: "up",
      to: "down",
      reason: "timeout",
    });
  }
  return daemon;
}

/** A console that one can wait at. */
class Watched extends Console {
  #seen: (() => void) | null = null;
  #awaited = "";

  until(text: string): Promise<void> {
    this.#awaited = text;
    return new Promise((resolve) => {
      this.#seen = resolve;
      this.#look();
    });
  }

  override async out(text: string): Promise<void> {
    await super.out(text);
    this.#look();
  }

  #look(): void {
    if (this.stdout.includes(this.#awaited)) this.#seen?.();
  }
}

Deno.test("sessions PEER shows its sessions and what happened to them", async () => {
  const daemon = daemonWithEvents(2);
  daemon.sessions = [session(), session({ peer: "10.1.0.2" })];
  await withDaemon(daemon, async (cli) => {
    const { status, stdout, stderr } = await cli(["sessions", "10.1.0.1"]);
    assertEquals([status, stderr], [0, ""]);
    const [head, row, blank, ...events] = stdout.trimEnd().split("\n");
    assert(head!.startsWith("PEER") && row!.startsWith("10.1.0.1 ") && blank === "", stdout);
    const words = "session 10.1.0.1 dev tun0 src 10.0.0.1: up -> down (timeout)";
    assertEquals(events, [1, 2].map((seq) => `2023-11-14T22:13:20.123Z #${seq} ${words}`));
    const none = await cli(["sessions", "10.1.0.9"]);
    assertEquals(none.status, 1);
    assertStringIncludes(none.stderr, "there is no session with peer 10.1.0.9");
  });
});

Deno.test("events are a line each, with time, number and what happened", async () => {
  const daemon = daemonWithEvents(1);
  daemon.events.report("endpoint_lost", { message: "tun0\x1b[2J is gone" });
  await withDaemon(daemon, async (cli) => {
    const { status, stdout, stderr } = await cli(["events"]);
    assertEquals([status, stderr], [0, ""]);
    assertEquals(
      stdout,
      "2023-11-14T22:13:20.123Z #1 session 10.1.0.1 dev tun0 src 10.0.0.1: up -> down (timeout)\n" +
        "2023-11-14T22:13:20.123Z #2 endpoint lost: tun0\\x1b[2J is gone\n",
    );
    const colored = await cli(["events"], { color: true });
    assertEquals(stripAnsiCode(colored.stdout), stdout);
  });
});

Deno.test("events --json is the API's NDJSON, and --since leaves out what is known", async () => {
  const daemon = daemonWithEvents(3);
  await withDaemon(daemon, async (cli) => {
    const { status, stdout } = await cli(["events", "--json", "--since", "1"]);
    assertEquals(status, 0);
    const events = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(events, daemon.events.history(1).map(asEvent));
    assertEquals(await cli(["events", "--json", "--since", "3"]), {
      status: 0,
      stdout: "",
      stderr: "",
    });
    const none = await cli(["events", "--since", "3"]);
    assertEquals([none.status, none.stdout], [0, ""]);
    assertStringIncludes(none.stderr, "No events after #3.");
  });
});

Deno.test("events says how many are no longer kept", async () => {
  await withDaemon(daemonWithEvents(1_010), async (cli) => {
    for (const since of ["0", "4"]) {
      const lines = (await cli(["events", "--since", since])).stdout.split("\n");
      assertEquals(lines[0], `... ${10 - Number(since)} events not shown: no longer kept`);
      assertStringIncludes(lines[1]!, " #11 ");
      assertEquals(lines.length, 1 + 1_000 + 1);
    }
    const kept = (await cli(["events", "--since", "10"])).stdout;
    assert(!kept.includes("not shown"));
    assertStringIncludes(kept, " #11 ");
  });
});

Deno.test("events refuses a number that is none", async () => {
  for (const since of ["-1", "x", "1.5", "9999999999999999"]) {
    const { status, stdout, stderr } = await run(["events", "--since", since]);
    assertEquals([status, stdout], [2, ""], since);
    assertStringIncludes(stderr, "an event's number");
  }
});

for (const json of [false, true]) {
  Deno.test(`events --follow${json ? " --json" : ""} goes on until the daemon ends, status 3`, async () => {
    const daemon = daemonWithEvents(1);
    await withDaemon(daemon, async (_, socket) => {
      const console = new Watched();
      const args = ["--socket", socket, "events", "--follow", ...(json ? ["--json"] : [])];
      const ended = main(args, console);
      const [first, second] = json ? ['"seq":1,', '"seq":2,'] : [" #1 ", " #2 "];
      await console.until(first!);
      assert(!console.stdout.includes(second!));
      daemon.events.report("config_reloaded", {});
      await console.until(second!);
      assertEquals(console.stdout.trimEnd().split("\n").length, 2);
      daemon.events.close();
      assertEquals(await ended, 3);
      assertStringIncludes(console.stderr, "the daemon ended");
    });
  });
}

Deno.test("events --follow shows what it missed as one gap", async () => {
  const daemon = daemonWithEvents(1_003);
  await withDaemon(daemon, async (_, socket) => {
    const console = new Watched();
    const ended = main(["--socket", socket, "events", "--follow", "--since", "1"], console);
    await console.until(" #1003 ");
    daemon.events.close();
    assertEquals(await ended, 3);
    const lines = console.stdout.trimEnd().split("\n");
    assertEquals(lines[0], "... 2 events not shown: no longer kept");
    assertEquals(lines.length, 1 + 1_000);
  });
});

Deno.test("a reader that leaves while events are followed is no failure, and leaves no follower", async () => {
  const daemon = daemonWithEvents(1);
  await withDaemon(daemon, async (_, socket) => {
    // More than may follow at one time.
    for (let i = 0; i < 70; i++) {
      const console = Object.assign(new Console(), { closed: true });
      const status = await main(["--socket", socket, "events", "--follow"], console);
      assertEquals([status, console.stderr], [0, ""]);
    }
  });
});
