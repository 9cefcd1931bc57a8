import type { FailureCount, Status } from "../api/status.ts";
import { escapeControls } from "../observe/escape.ts";
import type { ApiClient } from "./client.ts";
import type { CliIo } from "./io.ts";
import { printJson } from "./json_output.ts";
import { type Style, styleOf } from "./style.ts";
import { age, microseconds, spanWords } from "./wording.ts";

/** `status`: what the daemon is doing, and all that went wrong. */
export async function showStatus(client: ApiClient, io: CliIo, json: boolean): Promise<void> {
  const response = await client.request("GET", "/v1/status");
  if (json) return await printJson(io, response);
  const status = await response.json() as Status;
  await io.out(statusText(status, styleOf(io), io.now()));
}

/** What people read; no line needs more than 80 columns unless a name or reason is long. */
export function statusText(status: Status, style: Style, now: number): string {
  const { version, deno, pid, uptime_s, mode } = status;
  return [
    style.strong(`livenessd ${escapeControls(version)}`) +
    `, ${mode}, up ${spanWords(uptime_s * 1_000)}, pid ${pid}, deno ${escapeControls(deno)}`,
    line("transport", escapeControls(status.transport)),
    line("sessions", sessionWords(status.sessions, style)),
    line("routes", routeWords(status.routes, style)),
    line("loop", loopWords(status.loop)),
    line("reconciler", reconcilerWords(status.reconciler, style, now)),
    line("endpoints", endpointWords(status.endpoints, style)),
    line("failures", failureWords(status.failures, style)),
    "",
  ].join("\n");
}

function line(title: string, text: string): string {
  return text.startsWith("\n") ? title + text : `${title.padEnd(10)}  ${text}`;
}

function sessionWords({ up, init, down, admin_down }: Status["sessions"], style: Style): string {
  return [
    up > 0 ? style.good(`${up} up`) : "0 up",
    init > 0 ? style.between(`${init} init`) : "0 init",
    down > 0 ? style.bad(`${down} down`) : "0 down",
    admin_down > 0 ? style.between(`${admin_down} admin_down`) : "0 admin_down",
  ].join(", ");
}

function routeWords({ wanted, installed, refused }: Status["routes"], style: Style): string {
  const bad = refused > 0 ? style.bad(`${refused} refused`) : "0 refused";
  return `${wanted} wanted, ${installed} installed, ${bad}`;
}

function loopWords({ mode, lag_max_us }: Status["loop"]): string {
  const how = mode === "tick" ? "a turn every 5 ms" : "a turn for each wake-up";
  return `${how}; at most ${microseconds(lag_max_us)} late since the start`;
}

function reconcilerWords(r: Status["reconciler"], style: Style, now: number): string {
  if (!r.enabled) return style.between("off (kernel.reconcile_interval is 0)");
  const took = r.last_took_us === null ? "" : ` (took ${microseconds(r.last_took_us)})`;
  const last = r.last_run === null ? "no sweep yet" : `last ${age(r.last_run, now)} ago${took}`;
  const error = r.last_error === null
    ? ""
    : `\n${" ".repeat(12)}${style.bad(`the last failed: ${escapeControls(r.last_error)}`)}`;
  const every = `every ${spanWords(r.interval_us / 1_000)}`;
  return `${every}, ${last}, ${r.reinstalls} put back, ${r.failures} failed${error}`;
}

function endpointWords(endpoints: Status["endpoints"], style: Style): string {
  const closed = endpoints.filter((endpoint) => !endpoint.open);
  const summary = `${endpoints.length - closed.length} open, ${closed.length} not`;
  const lines = closed.map(({ dev, src, port, reason }) =>
    "  " + style.bad(escapeControls(`dev ${dev} src ${src} port ${port}: ${reason ?? "unknown"}`))
  );
  return [summary, ...lines].join("\n");
}

function failureWords(failures: readonly FailureCount[], style: Style): string {
  const some = failures.filter(({ count }) => count > 0);
  if (some.length === 0) return style.good("none");
  const names = Math.max(...some.map(({ name }) => name.length));
  const digits = Math.max(...some.map(({ count }) => String(count).length));
  const lines = some.map(({ name, count, meaning }) => {
    const number = String(count).padStart(digits);
    return `  ${style.bad(number)} ${escapeControls(name).padEnd(names)}  ${
      escapeControls(meaning)
    }`;
  });
  return ["", ...lines].join("\n");
}
