/**
 * A firewall as far as it matters for one question: does it let the probes pass?
 *
 * Each rule answers yes, no or "cannot be told" for a packet; walking the chains keeps that apart from what
 * is certain, so that a verdict is either sure or said to be a guess.
 */

/** `null`: cannot be told. */
export type Truth = boolean | null;

/** A probe on its way in or out. What is not known is `null`. */
export interface Packet {
  readonly direction: "in" | "out";
  readonly dev: string | null;
  readonly source: string | null;
  readonly destination: string | null;
  /** Source and destination port. */
  readonly port: number;
  /** Firewall mark on the way out. */
  readonly mark: number;
}

export type Verdict =
  | { readonly kind: "accept" | "drop" }
  | { readonly kind: "return" }
  | { readonly kind: "jump" | "goto"; readonly chain: Chain };

/** One rule. It may have several verdicts, each with a condition: a verdict map. */
export interface FirewallRule {
  /** Where it is, for people: `rule 7 of chain input, table inet filter`. */
  readonly where: string;
  readonly branches: readonly Branch[];
}

export interface Branch {
  readonly matches: (packet: Packet) => Truth;
  readonly verdict: Verdict;
}

/** A chain that other chains jump to. */
export interface Chain {
  readonly rules: FirewallRule[];
}

/** A chain that the kernel enters by itself. */
export interface BaseChain extends Chain {
  /** For people: `chain input, table inet filter`. */
  readonly where: string;
  readonly direction: "in" | "out";
  readonly policy: "accept" | "drop";
  /** The interface of an ingress or egress chain; `null` for all. */
  readonly dev: string | null;
  /** A command that lets UDP packets to a port in, before all else. */
  readonly allow: (port: number) => string;
}

/** What becomes of a packet in a base chain; `where` names the rule or policy that drops it. */
export interface Passage {
  readonly outcome: "passes" | "drops" | "may_drop";
  readonly where: string;
}

/** More jumps than the kernel allows. */
const MAX_DEPTH = 32;

/** Sends a packet through a base chain. */
export function walk(base: BaseChain, packet: Packet): Passage {
  const doubts: Doubts = { drop: null, escape: false };
  const end = walkChain(base, packet, doubts, 0) ??
    { kind: base.policy, where: `the policy of ${base.where}` };
  if (end.kind === "drop") {
    return { outcome: doubts.escape ? "may_drop" : "drops", where: end.where };
  }
  return doubts.drop === null
    ? { outcome: "passes", where: end.where }
    : { outcome: "may_drop", where: doubts.drop };
}

interface End {
  readonly kind: "accept" | "drop";
  readonly where: string;
}

interface Doubts {
  /** A rule that may have dropped the packet. */
  drop: string | null;
  /** A rule may have let it out of reach of those that follow. */
  escape: boolean;
}

function walkChain(chain: Chain, packet: Packet, doubts: Doubts, depth: number): End | null {
  if (depth > MAX_DEPTH) return null;
  for (const { where, branches } of chain.rules) {
    for (const { matches, verdict } of branches) {
      const match = matches(packet);
      if (match === false) continue;
      if (match === null) {
        noteDoubt(verdict, where, packet, doubts, depth);
        continue;
      }
      if (verdict.kind === "return") return null;
      if (!("chain" in verdict)) return { kind: verdict.kind, where };
      const end = walkChain(verdict.chain, packet, doubts, depth + 1);
      if (end !== null) return end;
      if (verdict.kind === "goto") return null;
      // Of a verdict map one entry applies.
      break;
    }
  }
  return null;
}

function noteDoubt(
  verdict: Verdict,
  where: string,
  packet: Packet,
  doubts: Doubts,
  depth: number,
): void {
  let end: End | null;
  switch (verdict.kind) {
    case "drop":
      doubts.drop ??= where;
      return;
    case "accept":
    case "return":
      doubts.escape = true;
      return;
    case "jump":
    case "goto":
      end = walkChain(verdict.chain, packet, doubts, depth + 1);
      if (end?.kind === "drop") doubts.drop ??= end.where;
      if (end?.kind === "accept" || verdict.kind === "goto") doubts.escape = true;
  }
}
