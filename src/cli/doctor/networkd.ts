/** systemd-networkd removes routes and rules that it does not know, unless it is told to leave them. */
import type { Facts } from "./facts.ts";
import { type Finding, fine, undetermined, warning } from "./finding.ts";
import type { Host } from "./host.ts";
import { writeFile } from "./shell.ts";

/** Where systemd looks for configuration; the first wins over the later ones. */
const FOLDERS = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];
const FILE = "networkd.conf";
/** What the drop-in that we ship sets. */
const SETTINGS: Readonly<Record<string, string>> = {
  ManageForeignRoutes: "routes of others, and so ours",
  ManageForeignRoutingPolicyRules: "routing rules of others, and so that of the probes",
};
const DROP_IN = `/etc/systemd/${FILE}.d/livenessd.conf`;

/** Whether networkd runs here, and what it does with what is not its own. */
export function checkNetworkd(facts: Facts): Finding[] {
  // The kernel cuts names to 15 bytes.
  const running = facts.running("systemd-network", "systemd-networkd");
  if (!running.ok) return [undetermined("networkd", "Whether systemd-networkd runs here", running)];
  const [process] = running.value;
  const settings = networkdSettings(facts.host);
  const managed = Object.keys(SETTINGS).filter((name) => !isNo(settings.get(name)));
  if (process === undefined) {
    return [fine("networkd", "systemd-networkd does not run here")];
  }
  if (managed.length === 0) {
    return [
      fine(
        "networkd",
        `systemd-networkd (pid ${process.pid}) leaves the routes and rules of others`,
      ),
    ];
  }
  const lines = ["[Network]", ...Object.keys(SETTINGS).map((name) => `${name}=no`)];
  return [warning(
    "networkd",
    `systemd-networkd (pid ${process.pid}) manages ${
      managed.map((name) => SETTINGS[name]).join("; ")
    }`,
    "It removes them when it starts, reloads or reconfigures an interface. The daemon puts routes back, but " +
      `packets are lost meanwhile. Set ${managed.join("=no and ")}=no.`,
    `${writeFile(DROP_IN, lines)} && systemctl restart systemd-networkd`,
  )];
}

/** The settings of `[Network]` in networkd.conf and its drop-ins, the last word on each. */
export function networkdSettings(host: Host): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const path of pathsInOrder(host)) {
    for (const [name, value] of readNetworkSection(host.readFile(path) ?? "")) {
      settings.set(name, value);
    }
  }
  return settings;
}

/** The main file, then the drop-ins by name; one in /etc hides one of the same name elsewhere. */
function pathsInOrder(host: Host): string[] {
  const main = FOLDERS.map((folder) => `${folder}/${FILE}`)
    .find((path) => host.readFile(path) !== null);
  const dropIns = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const name of host.list(`${folder}/${FILE}.d`)) {
      if (name.endsWith(".conf") && !dropIns.has(name)) {
        dropIns.set(name, `${folder}/${FILE}.d/${name}`);
      }
    }
  }
  const byName = [...dropIns].sort(([a], [b]) => a < b ? -1 : 1).map(([, path]) => path);
  return [...(main === undefined ? [] : [main]), ...byName];
}

function readNetworkSection(text: string): [name: string, value: string][] {
  const found: [string, string][] = [];
  let section = "";
  for (const line of text.split("\n").map((line) => line.trim())) {
    const header = /^\[(.*)\]$/.exec(line)?.[1];
    if (header !== undefined) section = header;
    const [, name, value] = /^([^#;=\s]+)\s*=\s*(.*)$/.exec(line) ?? [];
    // What systemd cannot read as yes or no it ignores.
    if (section === "Network" && name !== undefined && (isNo(value) || isYes(value))) {
      found.push([name, value!]);
    }
  }
  return found;
}

function isNo(value: string | undefined): boolean {
  return /^(0|no|n|false|f|off)$/i.test(value ?? "");
}

function isYes(value: string | undefined): boolean {
  return /^(1|yes|y|true|t|on)$/i.test(value ?? "");
}
