import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type ConfigFile,
  DEV,
  eventually,
  hasRoute,
  type Host,
  pause,
  PORT,
  SLACK_MS,
  TwoHosts,
  UP_MS,
} from "./harness.ts";
import { invoke } from "./daemon.ts";
import type { NetworkNamespace } from "./netns.ts";

interface Finding {
  readonly id: string;
  readonly level: "ok" | "warn" | "fail";
  readonly what: string;
  readonly remedy: string | null;
}

/** What the doctor says to a configuration, and its exit status. */
async function doctor(
  hosts: TwoHosts,
  host: Host,
  config: ConfigFile = hosts.configOf(host),
): Promise<{ status: number; findings: Finding[]; of: (id: string) => Finding | undefined }> {
  const file = `${hosts.directory}/doctor.yaml`;
  await Deno.writeTextFile(file, JSON.stringify(config));
  const { code, stdout, stderr } = await invoke(host.namespace, "doctor", "-c", file, "--json");
  assertEquals(stderr, "");
  const findings: Finding[] = JSON.parse(stdout);
  return { status: code, findings, of: (id) => findings.find((finding) => finding.id === id) };
}

function problems(findings: readonly Finding[]): string[] {
  // The clock is the machine's, and none of the namespace's.
  return findings.filter(({ level, id }) => level !== "ok" && id !== "clock_source")
    .map(({ level, id }) => `${level} ${id}`).sort();
}

/** Pastes a remedy into a shell inside the namespace. */
async function paste(namespace: NetworkNamespace, finding: Finding | undefined): Promise<void> {
  assert(finding?.remedy, JSON.stringify(finding));
  await namespace.exec(["sh", "-c", finding.remedy]);
}

/** A process of this name inside the namespace, for as long as the hosts live. */
async function pretend(hosts: TwoHosts, host: Host, name: string): Promise<Deno.ChildProcess> {
  const file = `${hosts.directory}/${name}`;
  await Deno.copyFile("/bin/sleep", file);
  await Deno.chmod(file, 0o755);
  const options = { stdin: "null", stdout: "null", stderr: "null" } as const;
  const child = host.namespace.command([file, "1000"], options).spawn();
  const comm = () => Deno.readTextFile(`/proc/${child.pid}/comm`);
  await eventually(
    `${name} to run`,
    5_000,
    async () => (await comm()).trim() === name.slice(0, 15),
  );
  return child;
}

Deno.test("a host on which all is well has no problem, before the daemon runs and while it does", async () => {
  await using hosts = await TwoHosts.create("docgood");
  const { a, b } = hosts;
  const before = await doctor(hosts, a);
  assertEquals([before.status, problems(before.findings)], [0, []]);
  assertStringIncludes(before.of("control_socket")!.what, "no daemon runs there");
  const daemon = await hosts.start(a);
  await hosts.start(b);
  await eventually("up", UP_MS + SLACK_MS, () => hasRoute(hosts, a));
  const running = await doctor(hosts, a);
  assertEquals([running.status, problems(running.findings)], [0, []]);
  assertStringIncludes(running.of("control_socket")!.what, `(pid ${daemon.pid}) answers`);
  assertStringIncludes(running.of("capabilities")!.what, `The daemon (pid ${daemon.pid})`);
  assertEquals((await daemon.json("sessions"))[0].flaps, 0);
});

Deno.test("a host on which much is wrong is told all of it, and the remedies help when pasted", async () => {
  await using hosts = await TwoHosts.create("docbad");
  const { a } = hosts;
  const { namespace } = a;
  const route = hosts.routeOf(a);
  const config = hosts.configOf(a, {
    routes: [
      { ...route, table: 100 },
      { ...route, dst: "10.3.0.1", via: "192.0.2.9" },
      { ...route, dst: "10.3.0.2", dev: "nope0" },
      { ...route, dst: "10.3.0.3", src: "10.9.9.9" },
    ],
  });
  // Another daemon holds the port.
  const other = await hosts.start(
    a,
    hosts.configOf(a, { api: { socket: `${hosts.directory}/o` } }),
  );
  await eventually(
    "the port to be taken",
    UP_MS + SLACK_MS,
    async () => (await namespace.exec(["ss", "-Hlnu"])).includes(`:${PORT}`),
  );
  await namespace.exec(["sysctl", "-qw", `net.ipv4.conf.${DEV}.rp_filter=1`]);
  await namespace.exec([
    "nft",
    `
    table inet guard {
      chain arriving {
        type filter hook input priority 0; policy drop;
        iifname "lo" accept
        tcp dport 22 accept
      }
    }`,
  ]);
  await namespace.ip("rule add lookup 52 priority 50");
  const pretended = [];
  for (const name of ["NetworkManager", "systemd-networkd", "zebra"]) {
    pretended.push(await pretend(hosts, a, name));
  }
  const { status, findings, of } = await doctor(hosts, a, config);
  assertEquals(status, 1);
  const expected = [
    "fail address:10.9.9.9",
    "fail firewall:in:arriving/inet/guard",
    "fail interface:nope0",
    "fail next_hop:192.0.2.9",
    `fail rp_filter:${DEV}`,
    "fail table_rule:100",
    "fail udp_port:10.1.0.1",
    "warn network_manager",
    "warn networkd",
    "warn probe_rule:50",
    "warn protocol",
  ];
  const found = problems(findings);
  // A host of which networkd.conf already says no has one less.
  assertEquals(
    found.filter((id) => id !== "warn networkd"),
    expected.filter((id) => id !== "warn networkd"),
  );
  assertStringIncludes(of("udp_port:10.1.0.1")!.what, `livenessd (pid ${other.pid})`);
  assertStringIncludes(of("protocol")!.what, "zebra");

  const fixable = [
    "address:10.9.9.9",
    "firewall:in:arriving/inet/guard",
    "next_hop:192.0.2.9",
    `rp_filter:${DEV}`,
    "table_rule:100",
    "udp_port:10.1.0.1",
  ];
  // The address for nope0 goes to an interface that is there.
  assertEquals(of("address:10.9.9.9")!.remedy, `ip addr add 10.9.9.9/32 dev ${DEV}`);
  for (const id of fixable) await paste(namespace, of(id));
  await other.finished;
  const after = await doctor(hosts, a, config);
  assertEquals(
    problems(after.findings).filter((id) => id.startsWith("fail")),
    ["fail interface:nope0"],
  );
  for (const child of pretended) {
    child.kill("SIGKILL");
    await child.status;
  }
});

for (const elsewhere of [false, true]) {
  const where = elsewhere ? "with a default route elsewhere" : "without any other route";
  Deno.test(`strict reverse path filtering keeps a session down ${where} until the remedy is pasted`, async () => {
    await using hosts = await TwoHosts.create("docrpf");
    const { a, b } = hosts;
    if (elsewhere) {
      await a.namespace.connect("other0", b.namespace, "other0");
      await a.namespace.ip("addr add 192.0.2.1/24 dev other0");
      await a.namespace.ip("route add default via 192.0.2.2 dev other0");
    }
    await a.namespace.exec(["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1"]);
    // The filter judges the sender of ARP requests too; with this it gets to see packets.
    await b.namespace.exec(["sysctl", "-qw", "net.ipv4.conf.all.arp_announce=2"]);
    const finding = (await doctor(hosts, a)).of(`rp_filter:${DEV}`);
    assertEquals(finding?.level, "fail");
    assertEquals(finding!.remedy!.includes(`${DEV}.rp_filter=2`), elsewhere);
    await hosts.start(a);
    await hosts.start(b);
    const dropped = async () => {
      const names = await a.namespace.exec(["cat", "/proc/net/netstat"]);
      const [keys, values] = names.split("\n").filter((line) => line.startsWith("TcpExt:"))
        .map((line) => line.split(" "));
      return Number(values![keys!.indexOf("IPReversePathFilter")]);
    };
    await eventually("the kernel to drop", UP_MS + SLACK_MS, async () => await dropped() >= 3);
    await pause(1_000);
    assertEquals(await hasRoute(hosts, a), false);
    await paste(a.namespace, finding);
    await eventually("up", UP_MS + SLACK_MS, () => hasRoute(hosts, a));
    assertEquals((await doctor(hosts, a)).of(`rp_filter:${DEV}`), undefined);
    assertEquals((await doctor(hosts, a)).of("rp_filter")?.level, "ok");
  });
}

Deno.test("events are followed until the daemon ends: status 3", async () => {
  await using hosts = await TwoHosts.create("docevents");
  const { a, b } = hosts;
  const daemon = await hosts.start(a);
  await hosts.start(b);
  await eventually("up", UP_MS + SLACK_MS, () => hasRoute(hosts, a));
  const following = daemon.cli("events", "--follow");
  await eventually("the story so far", 3_000, async () => {
    const { stdout } = await daemon.cli("events");
    return /route installed 10\.2\.0\.1\/32/.test(stdout);
  });
  await pause(500);
  await daemon.stop();
  const { code, stdout, stderr } = await following;
  assertEquals(code, 3);
  assertStringIncludes(stderr, "the daemon ended");
  assertStringIncludes(stdout, "session 10.2.0.1 dev link0 src 10.1.0.1: ");
  assertStringIncludes(stdout, "route installed 10.2.0.1/32 via 10.0.0.2");
});
