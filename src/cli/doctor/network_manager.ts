/** NetworkManager flushes the routes of interfaces that it manages when it configures them anew. */
import type { Facts } from "./facts.ts";
import { type Finding, fine, listed, undetermined, warning } from "./finding.ts";
import { devsOf } from "./interfaces.ts";
import { writeFile } from "./shell.ts";

/** Whether NetworkManager runs here, and manages an interface of ours. */
export async function checkNetworkManager(facts: Facts): Promise<Finding[]> {
  const running = facts.running("NetworkManager");
  if (!running.ok) {
    return [undetermined("network_manager", "Whether NetworkManager runs here", running)];
  }
  const [process] = running.value;
  if (process === undefined) return [fine("network_manager", "NetworkManager does not run here")];
  const devs = devsOf(facts.config.routes);
  const who = `NetworkManager (pid ${process.pid})`;
  if (devs.length === 0) return [fine("network_manager", `${who} runs; no routes are configured`)];
  const result = await facts.host.run("nmcli", "-t", "-f", "DEVICE,STATE", "device");
  if (result === null || result.code !== 0) {
    const reason = result === null
      ? "nmcli is not installed."
      : `nmcli: ${result.stderr.trim() || `exit status ${result.code}`}`;
    const subject = `What ${who} manages`;
    return [undetermined("network_manager", subject, { ok: false, reason, remedy: null })];
  }
  const states = new Map(result.stdout.split("\n").map(deviceState));
  const managed = devs.filter((dev) => isManaged(states.get(dev)));
  if (managed.length === 0) {
    return [fine("network_manager", `${who} leaves alone: ${listed(devs)}`)];
  }
  const file = "/etc/NetworkManager/conf.d/90-livenessd.conf";
  const lines = [
    "[keyfile]",
    `unmanaged-devices+=${managed.map((dev) => `interface-name:${dev}`).join(";")}`,
  ];
  return [warning(
    "network_manager",
    `${who} manages ${listed(managed)}`,
    "It removes routes that it does not know when it connects or reapplies such an interface. The daemon " +
      "puts them back, but packets are lost meanwhile.",
    `${writeFile(file, lines)} && systemctl reload NetworkManager`,
  )];
}

/** A line of `nmcli -t`: fields between colons, colons and backslashes in them after a backslash. */
function deviceState(line: string): [dev: string, state: string] {
  const [dev = "", state = ""] = line.match(/(?:[^:\\]|\\.)+/g) ?? [];
  return [dev.replace(/\\(.)/g, "$1"), state.replace(/\\(.)/g, "$1")];
}

/** An interface that others made and NetworkManager only watches is "connected (externally)". */
function isManaged(state: string | undefined): boolean {
  return state !== undefined && state !== "unmanaged" && !state.includes("externally");
}
