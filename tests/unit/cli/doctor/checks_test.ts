import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { examine } from "../../../../src/cli/doctor/checks.ts";
import { checkClockSource } from "../../../../src/cli/doctor/clock_source.ts";
import type { Finding } from "../../../../src/cli/doctor/finding.ts";
import {
  checkAddresses,
  checkInterfaces,
  checkNextHops,
} from "../../../../src/cli/doctor/interfaces.ts";
import { checkNetworkManager } from "../../../../src/cli/doctor/network_manager.ts";
import { checkNetworkd } from "../../../../src/cli/doctor/networkd.ts";
import {
  checkCapabilities,
  checkLibnl,
  checkNamespace,
} from "../../../../src/cli/doctor/privileges.ts";
import { checkProtocol } from "../../../../src/cli/doctor/protocol.ts";
import { checkForwarding, checkReversePath } from "../../../../src/cli/doctor/reverse_path.ts";
import { checkProbeRule, checkTables } from "../../../../src/cli/doctor/rules.ts";
import { checkControlSocket, checkPort } from "../../../../src/cli/doctor/sockets.ts";
import { configOf, FakeHost, healthyHost, ROUTE, RULES, TUN0 } from "./fake_host.ts";

/** `LEVEL id` of each finding. */
function brief(findings: readonly Finding[]): string[] {
  return findings.map(({ level, id }) => `${level} ${id}`);
}

function only(findings: readonly Finding[]): Finding {
  assertEquals(findings.length, 1, JSON.stringify(findings));
  return findings[0]!;
}

Deno.test("on a healthy host every check is fine", async () => {
  const groups = await examine(healthyHost().facts());
  const findings = groups.flatMap((group) => group.findings);
  assertEquals(findings.filter(({ level }) => level !== "ok"), []);
  assertEquals(findings.length, 16);
});

Deno.test("on a host that tells nothing every check ends, and none says that all is well without cause", async () => {
  const host = new FakeHost();
  host.bind = () => ({ refused: "no" });
  const findings = (await examine(host.facts())).flatMap((group) => group.findings);
  assert(findings.length >= 8);
  assertEquals(findings.filter(({ id }) => id.startsWith("check:")), []);
  assertEquals(brief(findings.filter(({ level }) => level === "ok")), [
    "ok libnl",
    "ok control_socket",
  ]);
});

Deno.test("capabilities are those of the daemon, or else of this process", async () => {
  const host = healthyHost();
  host.files["/proc/self/status"] = "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n";
  const finding = only(await checkCapabilities(host.facts()));
  assertEquals([finding.level, finding.id], ["fail", "capabilities:net_admin"]);
  assertStringIncludes(finding.remedy!, "setcap cap_net_admin,cap_net_raw+ep");
  host.files["/proc/sys/kernel/osrelease"] = "4.19.0\n";
  assertEquals(brief(await checkCapabilities(host.facts())), [
    "fail capabilities:net_admin",
    "fail capabilities:net_raw",
  ]);
  host.daemon = { kind: "answers", pid: 7, version: "0.1.0" };
  host.files["/proc/7/status"] = "Uid:\t999\t999\t999\t999\nCapEff:\t0000000000003000\n";
  const daemons = only(await checkCapabilities(host.facts()));
  assertEquals(daemons.what, "The daemon (pid 7) has CAP_NET_ADMIN and CAP_NET_RAW");
});

Deno.test("root without the capability is told of containers and units", async () => {
  const host = healthyHost();
  host.files["/proc/self/status"] = "Uid:\t0\t0\t0\t0\nCapEff:\t0000000000002000\n";
  const finding = only(await checkCapabilities(host.facts()));
  assertEquals([finding.id, finding.remedy], ["capabilities:net_admin", null]);
  assertStringIncludes(finding.why, "--cap-add=NET_ADMIN");
});

Deno.test("libnl is named with version and files, or with the package that brings it", () => {
  const host = healthyHost();
  assertEquals(
    only(checkLibnl(host.facts())).what,
    "libnl 3.7.0 is loaded: /usr/lib/libnl-3.so.200.26.0",
  );
  host.libnl = { ok: false, reason: "libnl-3.so.200 cannot be loaded" };
  const finding = only(checkLibnl(host.facts()));
  assertEquals([finding.level, finding.remedy], [
    "fail",
    "apt install libnl-3-200 libnl-route-3-200",
  ]);
});

Deno.test("a daemon in another network namespace is said", async () => {
  const host = healthyHost();
  host.daemon = { kind: "answers", pid: 7, version: "0.1.0" };
  host.addProcess(7, "livenessd");
  assertEquals(await checkNamespace(host.facts()), []);
  host.addProcess(7, "livenessd", "net:[2]");
  const finding = only(await checkNamespace(host.facts()));
  assertEquals([finding.level, finding.id], ["warn", "network_namespace"]);
  assertStringIncludes(finding.remedy!, "nsenter --net=/proc/7/ns/net livenessd");
});

Deno.test("the control socket is free, a daemon's, or in the way", async () => {
  const host = healthyHost();
  const level = async (kind: "absent" | "stale" | "denied" | "not_a_socket") => {
    host.daemon = { kind };
    return only(await checkControlSocket(host.facts())).level;
  };
  assertEquals(
    [
      await level("absent"),
      await level("stale"),
      await level("denied"),
      await level("not_a_socket"),
    ],
    ["ok", "ok", "warn", "fail"],
  );
  host.daemon = { kind: "silent", reason: "timed out" };
  assertEquals(only(await checkControlSocket(host.facts())).level, "fail");
  host.daemon = { kind: "answers", pid: 7, version: "0.1.0" };
  assertStringIncludes(only(await checkControlSocket(host.facts())).what, "(pid 7) answers");
});

Deno.test("a group that does not exist keeps the daemon from starting", async () => {
  const host = healthyHost();
  host.files["/etc/group"] = "root:x:0:\nlivenessd-old:x:7:\n";
  const config = configOf({ api: { group: "livenessd" } });
  const finding = only(await checkControlSocket(host.facts(config)));
  assertEquals([finding.level, finding.remedy], ["fail", "groupadd --system livenessd"]);
  host.files["/etc/group"] += "livenessd:x:8:\n";
  assertEquals(only(await checkControlSocket(host.facts(config))).level, "ok");
});

Deno.test("a port in use names who uses it, and the daemon's own use is fine", async () => {
  const host = healthyHost();
  host.bind = (_, port) => port === 0 ? "bound" : "in_use";
  const nobody = only(await checkPort(host.facts()));
  assertEquals([nobody.level, nobody.id], ["fail", "udp_port:10.0.0.1"]);
  host.commands["ss -Hlnup sport = :44880"] =
    `UNCONN 0 0 10.9.9.9:44880 0.0.0.0:* users:(("other",pid=1,fd=3))\n` +
    `UNCONN 0 0 10.0.0.1%tun0:44880 0.0.0.0:* users:(("bfdd",pid=812,fd=3))\n`;
  const other = only(await checkPort(host.facts()));
  assertStringIncludes(other.what, "in use by bfdd (pid 812)");
  assertEquals(other.remedy, "kill 812");
  host.daemon = { kind: "answers", pid: 812, version: "0.1.0" };
  assertEquals(only(await checkPort(host.facts())).level, "ok");
});

Deno.test("interfaces must be there, up, with carrier and room for IPv4", async () => {
  const host = healthyHost();
  const found = async (link: Partial<typeof TUN0>) => {
    host.ip("addr", [{ ...TUN0, ...link }]);
    return only(await checkInterfaces(host.facts()));
  };
  assertEquals((await found({})).level, "ok");
  assertEquals((await found({ flags: ["POINTOPOINT"] })).remedy, "ip link set dev tun0 up");
  assertEquals((await found({ flags: ["UP", "NO-CARRIER"] })).level, "warn");
  assertEquals((await found({ mtu: 60 })).level, "fail");
  const missing = await found({ ifname: "tun1" });
  assertEquals([missing.level, missing.what], ["fail", "There is no interface tun0"]);
});

Deno.test("a remedy stays one command, whatever an interface is called", async () => {
  const host = healthyHost();
  const dev = "a;reboot'";
  const config = configOf({ routes: [{ ...ROUTE, dev }] });
  host.ip("addr", [{ ...TUN0, ifname: dev, flags: [] }]);
  const { remedy } = only(await checkInterfaces(host.facts(config)));
  assertEquals(remedy, `ip link set dev 'a;reboot'\\''' up`);
});

Deno.test("local addresses must be there", () => {
  const host = healthyHost();
  host.bind = (address) => address === "10.0.0.1" ? "not_local" : "bound";
  const finding = only(checkAddresses(host.facts()));
  assertEquals([finding.level, finding.remedy], ["fail", "ip addr add 10.0.0.1/32 dev tun0"]);
});

Deno.test("a next hop must be a neighbour on its interface, and not ourselves", async () => {
  const host = healthyHost();
  const via = async (address: string) => {
    const config = configOf({ routes: [{ ...ROUTE, via: address }] });
    return only(await checkNextHops(host.facts(config)));
  };
  assertEquals((await via("10.0.0.2")).level, "ok");
  assertEquals((await via("10.0.0.5")).remedy, "ip route add 10.0.0.5/32 dev tun0 scope link");
  const more = { family: "inet", local: "10.0.0.3", prefixlen: 30 };
  host.ip("addr", [{ ...TUN0, addr_info: [...TUN0.addr_info, more] }]);
  const own = await via("10.0.0.3");
  assertEquals(own.level, "fail");
  assertStringIncludes(own.what, "an address of this host");
});

Deno.test("strict reverse path filtering drops a withdrawn peer, and loose without a way back too", async () => {
  const host = healthyHost();
  const set = (all: number, dev: number) => {
    host.files["/proc/sys/net/ipv4/conf/all/rp_filter"] = `${all}\n`;
    host.files["/proc/sys/net/ipv4/conf/tun0/rp_filter"] = `${dev}\n`;
  };
  const found = async () => only(await checkReversePath(host.facts()));
  set(0, 0);
  assertEquals((await found()).level, "ok");
  set(1, 0);
  const strict = await found();
  assertEquals([strict.level, strict.id], ["fail", "rp_filter:tun0"]);
  assertEquals(strict.remedy, "sysctl -w net.ipv4.conf.tun0.rp_filter=2");
  // The default route leads to the peer.
  set(1, 2);
  assertEquals((await found()).level, "ok");
  host.ip("route show table 254", []);
  const loose = await found();
  assertStringIncludes(loose.what, "loose (2)");
  assertEquals(
    loose.remedy,
    "sysctl -w net.ipv4.conf.default.rp_filter=1 net.ipv4.conf.lo.rp_filter=1 && " +
      "sysctl -w net.ipv4.conf.tun0.rp_filter=0 net.ipv4.conf.all.rp_filter=0",
  );
  // Another route leads to the peer by the same interface: strict does no harm.
  host.ip("route show table 254", [
    { dst: "default", dev: "eth0" },
    { dst: "10.1.0.0/24", dev: "tun0" },
  ]);
  set(1, 1);
  assertEquals((await found()).level, "ok");
  // Ours is gone while it is withdrawn and does not count.
  host.ip("route show table 254", [{ dst: "10.1.0.1", dev: "tun0", protocol: "186" }]);
  assertEquals((await found()).level, "fail");
});

Deno.test("reverse path filtering does less harm in mode passive, and looks through policy rules", async () => {
  const host = healthyHost();
  host.files["/proc/sys/net/ipv4/conf/tun0/rp_filter"] = "1\n";
  const passive = only(await checkReversePath(host.facts(configOf({ mode: "passive" }))));
  assertEquals(passive.level, "warn");
  host.ip(
    "rule",
    [...RULES, { priority: 5, src: "all", not: null, fwmark: "0x1", table: "7" }]
      .sort((a, b) => a.priority - b.priority),
  );
  host.ip("route show table 7", [{ dst: "10.0.0.0/8", dev: "tun0" }]);
  assertEquals(only(await checkReversePath(host.facts())).level, "ok");
});

Deno.test("remedies for several interfaces do not undo each other", async () => {
  const host = healthyHost();
  host.ip("route show table 254", []);
  host.files["/proc/sys/net/ipv4/conf/all/rp_filter"] = "1\n";
  host.files["/proc/sys/net/ipv4/conf/eth0.7/rp_filter"] = "0\n";
  const config = configOf({ routes: [ROUTE, { ...ROUTE, dst: "10.2.0.1", dev: "eth0.7" }] });
  const remedies = (await checkReversePath(host.facts(config))).map(({ remedy }) => remedy!);
  assertEquals(remedies.length, 2);
  for (const remedy of remedies) {
    assert(!/(tun0|eth0\/7)\.rp_filter=1/.test(remedy), remedy);
    assertStringIncludes(remedy, "net.ipv4.conf.lo.rp_filter=1");
  }
  assertStringIncludes(remedies[1]!, "net.ipv4.conf.eth0/7.rp_filter=0");
});

Deno.test("forwarding is told and never a problem", () => {
  const host = healthyHost();
  assertEquals(only(checkForwarding(host.facts())).what, "Forwarding is on: tun0");
  host.files["/proc/sys/net/ipv4/conf/tun0/forwarding"] = "0\n";
  const off = only(checkForwarding(host.facts()));
  assertEquals([off.level, off.what], ["ok", "Forwarding is off: tun0"]);
});

Deno.test("networkd must leave what others made: main file, drop-ins, order, masks", () => {
  const host = healthyHost();
  const etc = "/etc/systemd/networkd.conf";
  const found = () => only(checkNetworkd(host.facts()));
  assertStringIncludes(found().what, "does not run here");
  host.addProcess(300, "systemd-network");
  const both = found();
  assertEquals([both.level, both.id], ["warn", "networkd"]);
  assertStringIncludes(both.why, "ManageForeignRoutes=no and ManageForeignRoutingPolicyRules=no");
  assertMatch(
    both.remedy!,
    /^mkdir -p \/etc\/systemd\/networkd\.conf\.d && printf .* && systemctl restart/,
  );
  host.files[etc] = "[Network]\n# ManageForeignRoutes=no\nManageForeignRoutes = false\n[Other]\n" +
    "ManageForeignRoutingPolicyRules=no\n";
  assertStringIncludes(found().why, "Set ManageForeignRoutingPolicyRules=no.");
  host.files[`${etc}.d/livenessd.conf`] = "[Network]\nManageForeignRoutingPolicyRules=no\n";
  assertEquals(found().level, "ok");
  // By name the last one counts, wherever it is.
  host.files["/usr/lib/systemd/networkd.conf.d/zz.conf"] = "[Network]\nManageForeignRoutes=yes\n";
  assertEquals(found().level, "warn");
  // An empty one in /etc hides it.
  host.files[`${etc}.d/zz.conf`] = "";
  assertEquals(found().level, "ok");
  host.addProcess(300, "systemd-network", "net:[2]");
  assertStringIncludes(found().what, "does not run here");
});

Deno.test("NetworkManager matters for the interfaces that it manages", async () => {
  const host = healthyHost();
  const found = async () => only(await checkNetworkManager(host.facts()));
  assertEquals((await found()).level, "ok");
  host.addProcess(400, "NetworkManager");
  const unknown = await found();
  assertEquals([unknown.level, unknown.why], ["warn", "nmcli is not installed."]);
  const states = (text: string) => host.commands["nmcli -t -f DEVICE,STATE device"] = text;
  states("lo:unmanaged\ntun0:connected (externally)\n");
  assertEquals((await found()).level, "ok");
  states("eth0:connected\ntun0:unmanaged\n");
  assertEquals((await found()).level, "ok");
  states("we\\:ird:connected\ntun0:connected\n");
  const managed = await found();
  assertEquals(managed.level, "warn");
  assertStringIncludes(managed.remedy!, "unmanaged-devices+=interface-name:tun0");
});

Deno.test("a table without a rule is found, and one of a VRF is not", async () => {
  const host = healthyHost();
  const config = configOf({ routes: [{ ...ROUTE, table: 100 }] });
  const found = async () => only(await checkTables(host.facts(config)));
  const missing = await found();
  assertEquals([missing.level, missing.remedy], ["fail", "ip rule add lookup 100 priority 32000"]);
  host.ip("rule", [...RULES, { priority: 1000, src: "all", l3mdev: null }]);
  host.ip("-d link show type vrf", [{ ifname: "v", linkinfo: { info_data: { table: 100 } } }]);
  assertEquals((await found()).level, "ok");
  host.ip("rule", [...RULES, { priority: 9, src: "10.0.0.0", srclen: 8, table: "100" }]);
  assertEquals((await found()).level, "ok");
});

Deno.test("rules that take the probes, and marks that others use, are found", async () => {
  const host = healthyHost();
  const found = async (...rules: Record<string, unknown>[]) => {
    host.ip("rule", [...RULES, ...rules]);
    return brief(await checkProbeRule(host.facts()));
  };
  const ours = { priority: 90, src: "all", fwmark: "0xaf50", table: "44880", protocol: "186" };
  assertEquals(await found(ours), ["ok probe_rule"]);
  assertEquals(await found(ours, { priority: 50, src: "all", table: "52" }), [
    "warn probe_rule:50",
  ]);
  const wireguard = { priority: 60, not: null, src: "all", fwmark: "0xca6c", table: "51820" };
  assertEquals(await found(ours, wireguard), ["warn probe_rule:60"]);
  assertEquals(await found(ours, { ...wireguard, priority: 32765 }), ["ok probe_rule"]);
  assertEquals(await found({ ...ours, priority: 200, table: "7" }), ["warn probe_rule:200"]);
  assertEquals(await found({ ...ours, table: "7" }), ["warn probe_rule:90"]);
  // Of other marks, and of masks that ours does not fit.
  const masked = { priority: 10, src: "all", fwmark: "0x80000", fwmask: "0xff0000", table: "52" };
  assertEquals(await found(ours, masked), ["ok probe_rule"]);
  assertEquals(await found(ours, { priority: 10, src: "all", iif: "eth0", table: "7" }), [
    "ok probe_rule",
  ]);
  host.ip("route show table 44880", [{ dst: "default", protocol: "4" }, {
    dst: "10.1.0.1",
    protocol: "186",
  }]);
  assertEquals(await found(ours), ["warn probe_rule:table"]);
});

Deno.test("a protocol number that another daemon uses is found, and so are unknown routes of ours", async () => {
  const host = healthyHost();
  const found = async (config = configOf()) => only(await checkProtocol(host.facts(config)));
  host.addProcess(500, "zebra");
  const shared = await found();
  assertStringIncludes(shared.what, "bgp (186) is also that of zebra (pid 500)");
  host.ip("route show table all proto 76", []);
  assertEquals((await found(configOf({ kernel: { protocol: 76 } }))).level, "ok");
  host.addProcess(500, "zebra", "net:[2]");
  host.ip("route show table all proto 186", [
    { dst: "10.1.0.1", dev: "tun0" },
    { dst: "10.1.0.1", dev: "tun0", table: "44880" },
    { dst: "default", dev: "tun0" },
  ]);
  const unknown = await found();
  assertStringIncludes(unknown.what, "1 route(s) of protocol bgp (186)");
  assertStringIncludes(unknown.what, "default");
  // Routes may have come by the API of the daemon that runs.
  host.daemon = { kind: "answers", pid: 7, version: "0.1.0" };
  assertEquals((await found()).level, "ok");
});

Deno.test("a slow clock source gets the better one, when there is one", () => {
  const host = healthyHost();
  const folder = "/sys/devices/system/clocksource/clocksource0";
  host.files[`${folder}/current_clocksource`] = "hpet\n";
  const slow = only(checkClockSource(host.facts()));
  assertEquals([slow.level, slow.remedy], ["warn", `echo tsc > ${folder}/current_clocksource`]);
  host.files[`${folder}/available_clocksource`] = "hpet acpi_pm\n";
  assertEquals(only(checkClockSource(host.facts())).remedy, null);
});

Deno.test("without ip, or with one that fails, the checks say what they do not know", async () => {
  const host = healthyHost();
  delete host.commands["ip -j -N -4 rule"];
  const none = only(await checkTables(host.facts()));
  assertEquals([none.level, none.remedy], ["warn", "apt install iproute2"]);
  host.commands["ip -j -N -4 rule"] = { code: 1, stdout: "", stderr: "Cannot open\nnetlink" };
  assertEquals(only(await checkTables(host.facts())).why, "ip rule: Cannot open");
  host.commands["ip -j -N -4 rule"] = "not json";
  assertStringIncludes(only(await checkTables(host.facts())).why, "did not answer in JSON");
});
