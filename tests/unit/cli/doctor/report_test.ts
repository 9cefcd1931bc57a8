import { assert, assertEquals } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import { runDoctor } from "../../../../src/cli/doctor_command.ts";
import { BUILTIN_NAMES } from "../../../../src/config/iproute2_names.ts";
import { Console, run, withFile } from "../support.ts";
import { configOf, type FakeHost, healthyHost } from "./fake_host.ts";

async function doctor(host: FakeHost, given: Partial<Console> = {}, json = false) {
  const console = Object.assign(new Console(), given);
  const names = BUILTIN_NAMES;
  const config = configOf();
  const status = await runDoctor(console, { host, config, names, missing: null, json });
  return { status, stdout: console.stdout };
}

function sickHost(): FakeHost {
  const host = healthyHost();
  host.addProcess(300, "systemd-network");
  host.files["/proc/sys/net/ipv4/conf/tun0/rp_filter"] = "1\n";
  return host;
}

Deno.test("the report says what, why and the remedy, and fits the terminal but for the remedy", async () => {
  const { status, stdout } = await doctor(sickHost(), { columns: 80 });
  assertEquals(status, 1);
  assert(
    stdout.includes(`
  FAIL  rp_filter is strict (1) on tun0
        While a route is withdrawn no other route to the peer leaves by tun0, so
        the kernel drops the peer's packets and the session cannot come up
        again: 10.1.0.1.
        sysctl -w net.ipv4.conf.tun0.rp_filter=2
`),
    stdout,
  );
  assert(stdout.endsWith("\nFound 1 failure and 1 warning. Nothing was changed.\n"), stdout);
  const long = stdout.split("\n").filter((line) => line.length > 80);
  assertEquals(long.length, 1);
  assert(long[0]!.startsWith("        mkdir -p /etc/systemd/networkd.conf.d && "));
});

Deno.test("warnings alone are no failure, and a healthy host gets one line of praise", async () => {
  const host = healthyHost();
  const healthy = await doctor(host);
  assertEquals(healthy.status, 0);
  assert(healthy.stdout.endsWith("\nNothing found that would break livenessd here.\n"));
  host.addProcess(300, "systemd-network");
  const warned = await doctor(host);
  assertEquals(warned.status, 0);
  assert(warned.stdout.endsWith("\nFound 1 warning. Nothing was changed.\n"));
});

Deno.test("colour changes no text, and controls from outside are escaped", async () => {
  const host = sickHost();
  host.libnl = { ok: false, reason: "evil\x1b[2J\u202e" };
  const plain = (await doctor(host)).stdout;
  const colored = (await doctor(host, { color: true })).stdout;
  assertEquals(stripAnsiCode(colored), plain);
  assert(plain.includes("evil\\x1b[2J\\u202e"));
});

Deno.test("--json is an array of findings with the same keys each", async () => {
  const { status, stdout } = await doctor(sickHost(), {}, true);
  assertEquals(status, 1);
  const findings: Record<string, unknown>[] = JSON.parse(stdout);
  for (const finding of findings) {
    assertEquals(Object.keys(finding), ["id", "level", "what", "why", "remedy"]);
  }
  assertEquals(new Set(findings.map(({ id }) => id)).size, findings.length);
  assertEquals(findings.filter(({ level }) => level === "fail").map(({ id }) => id), [
    "rp_filter:tun0",
  ]);
});

Deno.test("doctor changes nothing: every command that it runs only asks", async () => {
  const host = sickHost();
  await doctor(host);
  assert(host.ran.length >= 8);
  for (const line of host.ran) {
    assert(
      /^(ip -j -N (-4 )?(addr|rule|(-d )?link show|route show)|nft -j list|iptables(-legacy)?-save$|ss |nmcli -t )/
        .test(line),
      line,
    );
  }
});

Deno.test("a configuration that was named must be there and right; status 2", async () => {
  const absent = await run(["doctor", "-c", "/nonexistent/x.yaml"]);
  assertEquals([absent.status, absent.stdout], [2, ""]);
  await withFile("mode: aktive\n", async (path) => {
    const wrong = await run(["doctor", "-c", path]);
    assertEquals([wrong.status, wrong.stdout], [2, ""]);
    assert(wrong.stderr.includes(`${path}:1:`));
  });
});
