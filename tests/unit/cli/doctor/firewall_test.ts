import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkFirewall } from "../../../../src/cli/doctor/firewall.ts";
import type { Finding } from "../../../../src/cli/doctor/finding.ts";
import { configOf, FakeHost, ROUTE } from "./fake_host.ts";

// deno-lint-ignore no-explicit-any -- nft's JSON
type Json = any;

const DPORT = { payload: { protocol: "udp", field: "dport" } };
const SADDR = { payload: { protocol: "ip", field: "saddr" } };
const STATE = { ct: { key: "state" } };

function is(left: Json, right: Json, op = "=="): Json {
  return { match: { op, left, right } };
}

const accept = { accept: null };
const drop = { drop: null };

interface Given {
  readonly policy?: "accept" | "drop";
  readonly hook?: string;
  readonly family?: string;
  readonly table?: string;
  /** Other chains and sets. */
  readonly more?: Json[];
}

/** A table with one base chain of these rules. */
function ruleset(rules: Json[][], given: Given = {}): Json[] {
  const { policy = "accept", hook = "input", family = "inet", table = "t", more = [] } = given;
  const at = { family, table };
  return [
    { chain: { ...at, name: "base", type: "filter", hook, prio: 0, policy } },
    ...more.map((object: Json) => {
      const [[kind, value]] = Object.entries<Json>(object) as [[string, Json]];
      return { [kind]: { ...at, ...value } };
    }),
    ...rules.map((expr, i) => ({ rule: { ...at, chain: "base", handle: i + 1, expr } })),
  ];
}

function chainOf(name: string, ...rules: Json[][]): Json[] {
  return [
    { chain: { name } },
    ...rules.map((expr, i) => ({ rule: { chain: name, handle: 100 + i, expr } })),
  ];
}

async function check(host: FakeHost, config = configOf()): Promise<Finding[]> {
  return await checkFirewall(host.facts(config));
}

async function levelOf(rules: Json[][], given: Given = {}): Promise<string> {
  const host = new FakeHost();
  host.commands["nft -j list ruleset"] = JSON.stringify({ nftables: ruleset(rules, given) });
  return (await check(host)).map(({ level }) => level).join(" ");
}

Deno.test("the policy of a chain drops what no rule accepts", async () => {
  const dropping = { policy: "drop" } as const;
  assertEquals(await levelOf([], dropping), "fail");
  assertEquals(await levelOf([[is(DPORT, 44880), accept]], dropping), "ok");
  assertEquals(await levelOf([[is(DPORT, 53), accept]], dropping), "fail");
  assertEquals(
    await levelOf([[is(DPORT, { set: [53, { range: [44000, 45000] }] }), accept]], dropping),
    "ok",
  );
  assertEquals(await levelOf([[is({ meta: { key: "iifname" } }, "tun*"), accept]], dropping), "ok");
  assertEquals(await levelOf([[is({ meta: { key: "iifname" } }, "lo"), accept]], dropping), "fail");
  assertEquals(await levelOf([], { ...dropping, hook: "output" }), "fail");
  assertEquals(await levelOf([], { ...dropping, hook: "forward" }), "ok");
  assertEquals(await levelOf([], { ...dropping, family: "ip6" }), "ok");
});

Deno.test("only what is accepted before a drop passes", async () => {
  const [yes, no] = [[is(DPORT, 44880), accept], [is(DPORT, 44880), drop]];
  assertEquals(await levelOf([yes, no]), "ok");
  assertEquals(await levelOf([no, yes]), "fail");
  assertEquals(await levelOf([[is(DPORT, 44880), { reject: { type: "icmpx" } }]]), "fail");
  assertEquals(await levelOf([[is(DPORT, 44880, "!="), drop]]), "ok");
  assertEquals(
    await levelOf([[is({ payload: { protocol: "tcp", field: "dport" } }, 44880), drop]]),
    "ok",
  );
  assertEquals(
    await levelOf([[is({ meta: { key: "l4proto" } }, { set: ["tcp", "udp"] }), drop]]),
    "fail",
  );
});

Deno.test("addresses are compared with those of the sessions", async () => {
  const from = (right: Json, op?: string) => levelOf([[is(SADDR, right, op), drop]]);
  assertEquals(await from({ prefix: { addr: "10.1.0.0", len: 16 } }), "fail");
  assertEquals(await from({ prefix: { addr: "10.2.0.0", len: 16 } }), "ok");
  assertEquals(await from({ prefix: { addr: "10.0.0.0", len: 8 } }, "!="), "ok");
  assertEquals(await from({ range: ["10.1.0.0", "10.1.0.9"] }), "fail");
  const blocked = {
    set: { name: "bad", elem: ["192.0.2.1", { elem: { val: "10.1.0.1", timeout: 9 } }] },
  };
  assertEquals(await levelOf([[is(SADDR, "@bad"), drop]], { more: [blocked] }), "fail");
  assertEquals(await levelOf([[is(SADDR, "@unknown"), drop]], { more: [blocked] }), "warn");
  const pair = { concat: [{ meta: { key: "iifname" } }, SADDR] };
  const together = (dev: string) =>
    levelOf([[is(pair, { set: [{ concat: [dev, "10.1.0.1"] }] }), drop]]);
  assertEquals([await together("tun0"), await together("tun1")], ["fail", "ok"]);
});

Deno.test("what cannot be told is said to be a guess", async () => {
  const established = [is(STATE, ["established", "related"], "in"), accept];
  assertEquals(await levelOf([established], { policy: "drop" }), "warn");
  assertEquals(await levelOf([established, [is(DPORT, 44880), accept]], { policy: "drop" }), "ok");
  assertEquals(await levelOf([[is(STATE, "invalid", "in"), drop]]), "ok");
  assertEquals(await levelOf([[{ limit: { rate: 5, per: "second" } }, drop]]), "warn");
  assertEquals(await levelOf([[{ "something new": {} }, drop]]), "warn");
  // A certain verdict before the doubtful one.
  assertEquals(await levelOf([[is(DPORT, 44880), accept], [{ limit: {} }, drop]]), "ok");
});

Deno.test("jumps, returns, gotos and verdict maps are followed", async () => {
  const sub = (...rules: Json[][]) => ({ more: chainOf("sub", ...rules) });
  const jump = [{ jump: { target: "sub" } }];
  const go = [{ goto: { target: "sub" } }];
  const no = [is(DPORT, 44880), drop];
  assertEquals(await levelOf([jump], sub(no)), "fail");
  assertEquals(await levelOf([jump], sub([{ return: null }], no)), "ok");
  assertEquals(await levelOf([jump, no], sub()), "fail");
  assertEquals(await levelOf([go, no], sub()), "ok");
  assertEquals(await levelOf([[is(DPORT, 53), ...jump]], sub(no)), "ok");
  assertEquals(await levelOf([[{ limit: {} }, ...jump]], sub(no)), "warn");
  const map = (...set: Json[]) => [{ vmap: { key: DPORT, data: { set } } }];
  assertEquals(await levelOf([map([53, accept], [44880, drop])]), "fail");
  assertEquals(await levelOf([map([53, drop], [44880, accept]), no]), "ok");
  assertEquals(await levelOf([map([44880, { jump: { target: "sub" } }])], sub(no)), "fail");
  const named = { map: { name: "m", elem: [[44880, drop]] } };
  assertEquals(await levelOf([[{ vmap: { key: DPORT, data: "@m" } }]], { more: [named] }), "fail");
});

Deno.test("chains that jump in a circle end", async () => {
  const circle = chainOf("sub", [{ jump: { target: "sub" } }]);
  assertEquals(await levelOf([[{ jump: { target: "sub" } }]], { more: circle }), "ok");
});

Deno.test("a drop names the rule and the command that lets probes in", async () => {
  const host = new FakeHost();
  const rules = ruleset([[is(DPORT, 44880), drop]]);
  host.commands["nft -j list ruleset"] = JSON.stringify({ nftables: rules });
  const [finding] = await check(
    host,
    configOf({ routes: [ROUTE, { ...ROUTE, dst: "10.2.0.1", dev: "tun1" }] }),
  );
  assertEquals(finding!.id, "firewall:in:base/inet/t");
  assertEquals(finding!.what, "The firewall drops probes arriving on tun0, tun1");
  assertStringIncludes(finding!.why, "Rule 1 of chain base, table inet t drops UDP port 44880");
  assertEquals(finding!.remedy, "nft insert rule inet t base udp dport 44880 accept");
  host.commands["nft -j list ruleset"] = JSON.stringify({
    nftables: ruleset([], { policy: "drop", table: "firewalld" }),
  });
  const [firewalld] = await check(host);
  assertStringIncludes(firewalld!.why, "The policy of chain base");
  assertStringIncludes(firewalld!.remedy!, "firewall-cmd --permanent --add-port=44880/udp");
});

Deno.test("an ingress chain is for its own interface", async () => {
  const host = new FakeHost();
  const of = async (dev: string) => {
    const chain = { family: "netdev", table: "t", name: "c", hook: "ingress", dev, policy: "drop" };
    host.commands["nft -j list ruleset"] = JSON.stringify({ nftables: [{ chain }] });
    return (await check(host))[0]!.level;
  };
  assertEquals([await of("tun0"), await of("eth0")], ["fail", "ok"]);
});

const SAVED = (rules: string, policy = "ACCEPT", by = "") =>
  `# Generated by iptables-save v1.8.9 ${by}on Sat\n*filter\n:INPUT ${policy} [0:0]\n` +
  `:OUTPUT ACCEPT [0:0]\n:sub - [0:0]\n${rules}\nCOMMIT\n`;

Deno.test("iptables' rules are read from iptables-save", async () => {
  const level = async (rules: string, policy?: string) => {
    const host = new FakeHost();
    host.commands["nft -j list ruleset"] = "";
    host.commands["iptables-save"] = SAVED(rules, policy);
    return (await check(host)).map(({ level }) => level).join(" ");
  };
  assertEquals(await level(""), "ok");
  assertEquals(await level("", "DROP"), "fail");
  assertEquals(await level("-A INPUT -p udp -m udp --dport 44880 -j ACCEPT", "DROP"), "ok");
  assertEquals(await level("-A INPUT -p tcp -m tcp --dport 44880 -j ACCEPT", "DROP"), "fail");
  assertEquals(
    await level("-A INPUT -p udp -m multiport --dports 1:5,44000:45000 -j DROP"),
    "fail",
  );
  assertEquals(await level("-A INPUT ! -s 10.0.0.0/8 -j DROP"), "ok");
  assertEquals(await level("-A INPUT ! -i tun+ -j DROP"), "ok");
  assertEquals(
    await level("-A OUTPUT -o tun0 -j REJECT --reject-with icmp-port-unreachable"),
    "fail",
  );
  assertEquals(await level('-A INPUT -m comment --comment "-j ACCEPT a" -j DROP'), "fail");
  assertEquals(await level("-A INPUT -m recent --rcheck --name x -j DROP"), "warn");
  assertEquals(
    await level("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "DROP"),
    "warn",
  );
  assertEquals(await level("-A INPUT -j LOG --log-prefix x"), "ok");
  assertEquals(await level("-A INPUT -j sub\n-A sub -s 10.1.0.1/32 -j DROP"), "fail");
  assertEquals(await level("-A INPUT -j sub\n-A sub -j RETURN\n-A sub -j DROP"), "ok");
});

Deno.test("tables that iptables keeps in nftables are read once, by the tool that shows them best", async () => {
  const host = new FakeHost();
  const opaque = [{ xt: { type: "match", name: "set" } }, drop];
  const rules = ruleset([opaque], { family: "ip", table: "filter" });
  host.commands["nft -j list ruleset"] = JSON.stringify({ nftables: rules });
  assertEquals((await check(host)).map(({ level }) => level), ["warn"]);
  host.commands["iptables-save"] = SAVED(
    "-A INPUT -p udp --dport 44880 -j DROP",
    "ACCEPT",
    "(nf_tables) ",
  );
  host.commands["iptables-legacy-save"] = host.commands["iptables-save"];
  const [finding, ...others] = await check(host);
  assertEquals([finding!.level, others], ["fail", []]);
  assertEquals(finding!.remedy, "iptables -t filter -I INPUT -p udp --dport 44880 -j ACCEPT");
});

Deno.test("a firewall that cannot be read is said to be unknown", async () => {
  const host = new FakeHost();
  assertEquals((await check(host)).map(({ level, id }) => [level, id]), [["warn", "firewall:nft"]]);
  host.commands["nft -j list ruleset"] = {
    code: 1,
    stdout: "",
    stderr: "Operation not permitted\n",
  };
  const [denied] = await check(host);
  assertStringIncludes(denied!.why, "Operation not permitted. Ask as root.");
  for (const odd of ["{broken", "[]", "null", "7", '{"nftables": 7}']) {
    host.commands["nft -j list ruleset"] = odd;
    assertEquals((await check(host)).map(({ level }) => level), ["warn"], odd);
  }
});

Deno.test("without routes a probe of which little is known is tried", async () => {
  const host = new FakeHost();
  const config = configOf({ routes: [] });
  host.commands["nft -j list ruleset"] = JSON.stringify({
    nftables: ruleset([[is(DPORT, 44880), drop]]),
  });
  assertEquals((await check(host, config))[0]!.level, "fail");
  host.commands["nft -j list ruleset"] = JSON.stringify({
    nftables: ruleset([[is(SADDR, "10.1.0.1"), drop]]),
  });
  assertEquals((await check(host, config))[0]!.level, "warn");
});
