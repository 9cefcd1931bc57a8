import type { Config } from "../config/config.ts";
import type { Iproute2Names } from "../config/iproute2_names.ts";
import { escapeJsonControls } from "../observe/escape.ts";
import { examine } from "./doctor/checks.ts";
import { Facts } from "./doctor/facts.ts";
import { type Finding, warning } from "./doctor/finding.ts";
import type { Host } from "./doctor/host.ts";
import { reportText } from "./doctor/report.ts";
import { Exit } from "./exit.ts";
import type { CliIo } from "./io.ts";
import { styleOf } from "./style.ts";

export interface DoctorOptions {
  readonly host: Host;
  readonly config: Config;
  readonly names: Iproute2Names;
  /** Where a configuration was looked for and none is; `null` when there is one. */
  readonly missing: string | null;
  /** A JSON array of findings instead of text. */
  readonly json: boolean;
}

/**
 * `doctor [-c FILE] [--json]`: what on this host would break the daemon, why, and the remedy. Changes
 * nothing. Resolves with the exit status: 1 when something fails, 0 otherwise.
 */
export async function runDoctor(io: CliIo, options: DoctorOptions): Promise<number> {
  const { host, config, names, missing, json } = options;
  const groups = await examine(new Facts(host, config, names));
  if (missing !== null) groups.unshift({ title: "Configuration", findings: [none(missing)] });
  const findings = groups.flatMap((group) => group.findings);
  await io.out(
    json
      ? escapeJsonControls(JSON.stringify(findings, null, 2)) + "\n"
      : reportText(groups, styleOf(io), io.columns),
  );
  return findings.some(({ level }) => level === "fail") ? Exit.failed : Exit.done;
}

function none(file: string): Finding {
  return warning(
    "configuration",
    `There is no configuration at ${file}`,
    "Without it nothing is known of routes, interfaces and tables: only the host itself was looked at.",
    "livenessd doctor -c FILE",
  );
}
