/** All that the doctor looks at, in the order in which it is shown. */
import { checkClockSource } from "./clock_source.ts";
import type { Facts } from "./facts.ts";
import { type Finding, undetermined } from "./finding.ts";
import { checkFirewall } from "./firewall.ts";
import { checkAddresses, checkInterfaces, checkNextHops } from "./interfaces.ts";
import { checkNetworkd } from "./networkd.ts";
import { checkNetworkManager } from "./network_manager.ts";
import { checkCapabilities, checkLibnl, checkNamespace } from "./privileges.ts";
import { checkProtocol } from "./protocol.ts";
import { checkForwarding, checkReversePath } from "./reverse_path.ts";
import { checkProbeRule, checkTables } from "./rules.ts";
import { checkControlSocket, checkPort } from "./sockets.ts";

type Check = (facts: Facts) => Finding[] | Promise<Finding[]>;

/** Findings under one heading. */
export interface Group {
  readonly title: string;
  readonly findings: readonly Finding[];
}

const GROUPS: readonly (readonly [title: string, ...checks: Check[]])[] = [
  ["Daemon", checkCapabilities, checkLibnl, checkControlSocket, checkNamespace, checkPort],
  ["Interfaces", checkInterfaces, checkAddresses, checkNextHops, checkReversePath, checkForwarding],
  ["Firewall", checkFirewall],
  ["Routing", checkTables, checkProbeRule, checkProtocol],
  ["Other programs", checkNetworkd, checkNetworkManager],
  ["Time", checkClockSource],
];

/** Carries out every check. A check that breaks is a finding, not the end of the others. */
export async function examine(facts: Facts): Promise<Group[]> {
  const groups: Group[] = [];
  for (const [title, ...checks] of GROUPS) {
    const findings: Finding[] = [];
    for (const check of checks) findings.push(...await carryOut(check, facts));
    groups.push({ title, findings });
  }
  return groups;
}

async function carryOut(check: Check, facts: Facts): Promise<Finding[]> {
  try {
    return await check(facts);
  } catch (error) {
    const name = check.name.replace(/^check/, "");
    const reason = `The check broke: ${error instanceof Error ? error.message : String(error)}`;
    return [undetermined(`check:${name}`, `${name}`, { ok: false, reason, remedy: null })];
  }
}
