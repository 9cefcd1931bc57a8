/** The output of iptables-save(8) as a firewall model. What it does not know, it says it cannot tell. */
import type { BaseChain, Chain, FirewallRule, Packet, Truth, Verdict } from "./firewall_model.ts";
import {
  and,
  fitsName,
  inPrefix,
  inRange,
  inStates,
  not,
  or,
  type Value,
} from "./firewall_values.ts";
import { quote } from "./shell.ts";

type Condition = (packet: Packet) => Truth;

const HOOKS: Readonly<Record<string, "in" | "out">> = {
  PREROUTING: "in",
  INPUT: "in",
  OUTPUT: "out",
  POSTROUTING: "out",
};
/** Options that say nothing about a packet: comments, and details of a target. */
const SILENT: ReadonlySet<string> = new Set(["--comment", "--reject-with", "-m", "--log-prefix"]);

/**
 * The base chains that packets from or to this host pass.
 * @param program the iptables that changes these rules, for remedies
 */
export function iptablesChains(saved: string, program: string): BaseChain[] {
  const bases: BaseChain[] = [];
  for (const [table, lines] of tablesOf(saved)) {
    const chains = new Map<string, Chain>();
    for (const line of lines.filter((line) => line.startsWith(":"))) {
      const [name = "", policy = ""] = line.slice(1).split(/\s+/);
      const base = baseChain(table, name, policy, program);
      if (base !== null) bases.push(base);
      chains.set(name, base ?? { rules: [] });
    }
    for (const line of lines.filter((line) => line.startsWith("-A "))) {
      const [, name = "", ...words] = wordsOf(line);
      chains.get(name)?.rules.push(readRule(words, `rule "${line}" of table ${table}`, chains));
    }
  }
  return bases;
}

function tablesOf(saved: string): [table: string, lines: string[]][] {
  const tables: [string, string[]][] = [];
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) tables.push([line.slice(1).trim(), []]);
    else tables.at(-1)?.[1].push(line);
  }
  return tables;
}

function baseChain(table: string, name: string, policy: string, program: string): BaseChain | null {
  const direction = HOOKS[name];
  if (direction === undefined || policy === "-") return null;
  return {
    rules: [],
    where: `chain ${name}, iptables table ${table}`,
    direction,
    policy: policy === "DROP" ? "drop" : "accept",
    dev: null,
    allow: (port) =>
      `${program} -t ${quote(table)} -I ${quote(name)} -p udp --dport ${port} -j ACCEPT`,
  };
}

/** The words of a line, quoted ones with their quotes: what is quoted is no option. */
function wordsOf(line: string): string[] {
  return line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
}

function unquote(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replace(/\\(.)/g, "$1") : word;
}

function readRule(
  words: readonly string[],
  where: string,
  chains: ReadonlyMap<string, Chain>,
): FirewallRule {
  const conditions: Condition[] = [];
  let verdict: Verdict | null = null;
  for (let i = 0; i < words.length;) {
    const negated = words[i] === "!";
    if (negated) i++;
    const option = words[i++]!;
    const values: string[] = [];
    while (i < words.length && !/^-|^!$/.test(words[i]!)) values.push(unquote(words[i++]!));
    if (option === "-j" || option === "-g") {
      verdict = verdictOf(option, values[0] ?? "", chains);
      // What follows is the target's.
      break;
    }
    if (SILENT.has(option)) continue;
    const condition = conditionOf(option, values[0] ?? "");
    conditions.push(negated ? (packet) => not(condition(packet)) : condition);
  }
  if (verdict === null) return { where, branches: [] };
  const matches = (packet: Packet) => and(conditions.map((one) => one(packet)));
  return { where, branches: [{ verdict, matches }] };
}

function verdictOf(
  option: "-j" | "-g",
  target: string,
  chains: ReadonlyMap<string, Chain>,
): Verdict | null {
  if (target === "ACCEPT") return { kind: "accept" };
  if (target === "DROP" || target === "REJECT") return { kind: "drop" };
  if (target === "RETURN") return { kind: "return" };
  const chain = chains.get(target);
  // LOG, MARK, CT, … let the packet go on.
  return chain === undefined ? null : { kind: option === "-j" ? "jump" : "goto", chain };
}

function conditionOf(option: string, value: string): Condition {
  switch (option) {
    case "-p":
      return () => ["udp", "17", "all"].includes(value);
    case "-i":
      return ({ direction, dev }) => direction === "in" ? fitsName(dev, value, "+") : false;
    case "-o":
      return ({ direction, dev }) => direction === "out" ? fitsName(dev, value, "+") : false;
    case "-s":
      return ({ source }) => inPrefix(source, value);
    case "-d":
      return ({ destination }) => inPrefix(destination, value);
    case "--dport":
    case "--sport":
    case "--dports":
    case "--sports":
    case "--ports":
      return ({ port }) => or(value.split(",").map((range) => inPorts(port, range)));
    case "--state":
    case "--ctstate":
      return () => inStates(value.toLowerCase().split(","));
    case "--dst-type":
      return ({ direction }) => direction === "in" ? value.split(",").includes("LOCAL") : null;
    default:
      return () => null;
  }
}

function inPorts(port: Value, range: string): Truth {
  const [from = "", to = from] = range.split(":");
  return inRange(port, from || "0", to || "65535");
}
