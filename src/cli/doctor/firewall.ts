/** Whether the host's firewall lets the probes in and out, as far as its rules can be read. */
import type { Facts } from "./facts.ts";
import { firstLine, parseJson } from "./facts.ts";
import {
  type Answer,
  failure,
  type Finding,
  fine,
  listed,
  undetermined,
  warning,
} from "./finding.ts";
import { type BaseChain, type Packet, type Passage, walk } from "./firewall_model.ts";
import { iptablesChains } from "./iptables_rules.ts";
import { nftChains } from "./nft_rules.ts";

/** Tables that iptables keeps in nftables; iptables shows them better than nft does. */
const IPTABLES: ReadonlySet<string> = new Set(["filter", "nat", "mangle", "raw", "security"]);

/** Sends a probe of each session through every chain, both ways. */
export async function checkFirewall(facts: Facts): Promise<Finding[]> {
  const { chains, read, unread } = await readChains(facts);
  const findings = [...problems(facts, chains), ...unread];
  if (findings.length > 0) return findings;
  const { port } = facts.config.liveness;
  return [fine("firewall", `Nothing in ${read.join(" and ")} drops UDP port ${port}`)];
}

interface Read {
  readonly chains: BaseChain[];
  /** What was read, for people. */
  readonly read: string[];
  /** What could not be. */
  readonly unread: Finding[];
}

async function readChains({ host }: Facts): Promise<Read> {
  const read: string[] = [];
  const unread: Finding[] = [];
  const [nft, saved, legacy] = await Promise.all([
    host.run("nft", "-j", "list", "ruleset"),
    host.run("iptables-save"),
    host.run("iptables-legacy-save"),
  ]);
  const chains: BaseChain[] = [];
  const overNft = saved !== null && saved.code === 0 && saved.stdout.includes("(nf_tables)");
  if (nft !== null && nft.code === 0) {
    const ruleset = readRuleset(nft.stdout);
    if (ruleset.ok) {
      read.push("nftables");
      const shown = (family: string, table: string) =>
        overNft && family === "ip" && IPTABLES.has(table);
      chains.push(...nftChains(ruleset.value, shown));
    } else {
      unread.push(undetermined("firewall:nft", "What nftables drops", ruleset));
    }
  }
  const iptables = [[saved, "iptables"], [legacy, "iptables-legacy"]] as const;
  const seen = new Set<string>();
  for (const [result, program] of iptables) {
    if (result === null || result.code !== 0 || seen.has(rulesOf(result.stdout))) continue;
    seen.add(rulesOf(result.stdout));
    read.push(program);
    chains.push(...iptablesChains(result.stdout, program));
  }
  if (nft === null && !overNft || nft !== null && nft.code !== 0) unread.push(unreadNft(nft));
  return { chains, read, unread };
}

function readRuleset(stdout: string): Answer<{ readonly nftables: readonly unknown[] }> {
  const parsed = parseJson<{ nftables?: unknown } | null>(
    stdout.trim() || '{"nftables": []}',
    "nft",
  );
  if (!parsed.ok) return parsed;
  const nftables = parsed.value?.nftables;
  if (Array.isArray(nftables)) return { ok: true, value: { nftables } };
  return { ok: false, reason: "nft did not answer with a ruleset.", remedy: null };
}

/** Without comments and counters, to know the same rules again. */
function rulesOf(saved: string): string {
  return saved.split("\n").filter((line) => /^[*:-]/.test(line))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, "")).join("\n");
}

function unreadNft(result: { readonly stderr: string } | null): Finding {
  const reason = result === null
    ? "nft is not installed; the kernel may have rules all the same."
    : `nft: ${firstLine(result.stderr)}. Ask as root.`;
  const remedy = result === null ? "apt install nftables" : "sudo livenessd doctor";
  return undetermined("firewall:nft", "What nftables drops", { ok: false, reason, remedy });
}

function problems(facts: Facts, chains: readonly BaseChain[]): Finding[] {
  const found = new Map<string, { passage: Passage; base: BaseChain; devs: Set<string> }>();
  for (const packet of probes(facts)) {
    for (const base of chains) {
      if (base.direction !== packet.direction) continue;
      if (base.dev !== null && base.dev !== packet.dev) continue;
      const passage = walk(base, packet);
      if (passage.outcome === "passes") continue;
      const key = `${passage.outcome} ${base.where} ${passage.where}`;
      const known = found.get(key) ?? { passage, base, devs: new Set<string>() };
      if (packet.dev !== null) known.devs.add(packet.dev);
      found.set(key, known);
    }
  }
  return [...found.values()].map(({ passage, base, devs }) =>
    problemOf(facts, passage, base, devs)
  );
}

function problemOf(
  { config: { liveness: { port } } }: Facts,
  { outcome, where }: Passage,
  base: BaseChain,
  devs: ReadonlySet<string>,
): Finding {
  const way = base.direction === "in" ? "arriving" : "leaving";
  const at = devs.size === 0 ? "" : ` on ${listed([...devs])}`;
  const id = `firewall:${base.direction}:${
    base.where.replace(/^chain |,? ?table/g, "").replaceAll(" ", "/")
  }`;
  const remedy = base.allow(port);
  if (outcome === "drops") {
    return failure(
      id,
      `The firewall drops probes ${way}${at}`,
      `${capital(where)} drops UDP port ${port}: no session comes up.`,
      remedy,
    );
  }
  return warning(
    id,
    `The firewall may drop probes ${way}${at}`,
    `Whether ${where} drops UDP port ${port} depends on what cannot be told from here, such as the state ` +
      "of a connection or a rate.",
    remedy,
  );
}

/** A probe of each session both ways; without sessions, one of which little is known. */
function* probes({ config }: Facts): Generator<Packet> {
  const { liveness: { port }, probePath: { mark }, routes } = config;
  const ends = new Map(
    routes.map(({ dev, src, probe }) => [`${dev} ${src} ${probe}`, { dev, src, probe }]),
  );
  const sessions = ends.size > 0 ? ends.values() : [{ dev: null, src: null, probe: null }];
  for (const { dev, src, probe } of sessions) {
    yield { direction: "in", dev, source: probe, destination: src, port, mark };
    yield { direction: "out", dev, source: src, destination: probe, port, mark };
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
