import { readIproute2Names } from "../config/iproute2_names.ts";
import type { RouteSnapshot } from "../manager/snapshot.ts";
import { escapeControls } from "../observe/escape.ts";
import type { ApiClient, DaemonCommand } from "./client.ts";
import type { CliIo } from "./io.ts";
import { printJson } from "./json_output.ts";
import { compareAddresses } from "./sessions_command.ts";
import { type Style, styleOf } from "./style.ts";
import { type Column, renderTable } from "./table.ts";
import { readWordPairs } from "./word_pairs.ts";
import { age, routeState, whyRoute } from "./wording.ts";

/** `routes`: each wanted route, whether the kernel has it, and why not. */
export async function listRoutes(client: ApiClient, io: CliIo, json: boolean): Promise<void> {
  const response = await client.request("GET", "/v1/routes");
  if (json) return await printJson(io, response);
  const routes = await response.json() as RouteSnapshot[];
  if (routes.length === 0) return await io.err("No routes are wanted.\n");
  routes.sort((a, b) => a.table - b.table || compareAddresses(a.dst, b.dst));
  await io.out(renderTable(columns(styleOf(io), io.now()), routes, io.columns));
}

/**
 * `route add DST via GW dev IF src IP [table T] [probe IP] [no_uninstall]`.
 * @throws {CliError} when the words are wrong
 */
export function addRoute(dst: string, words: readonly string[]): DaemonCommand {
  const { table, ...said } = readWordPairs(words, {
    pairs: ["via", "dev", "src", "table", "probe"],
    flags: ["no_uninstall"],
    required: ["via", "dev", "src"],
  });
  const body = { dst, ...said, ...(table === undefined ? {} : { table: numberOrName(table) }) };
  return async (client, io) => {
    const response = await client.request("POST", "/v1/routes", body);
    await io.err(`added: ${routeWords(await response.json())}\n`);
  };
}

/**
 * `route del DST [via GW] [dev IF] [src IP] [table T]`: what names one route is enough.
 * @throws {CliError} when the words are wrong
 */
export function removeRoute(dst: string, words: readonly string[]): DaemonCommand {
  const said = readWordPairs(words, { pairs: ["via", "dev", "src", "table"] });
  const query = new URLSearchParams({ dst, ...said as Record<string, string> });
  return async (client, io) => {
    const response = await client.request("DELETE", `/v1/routes?${query}`);
    await io.err(`removed: ${routeWords(await response.json())}\n`);
  };
}

function numberOrName(table: string | true): string | number | true {
  return typeof table === "string" && /^\d+$/.test(table) ? Number(table) : table;
}

type RouteKey = Pick<RouteSnapshot, "dst" | "via" | "dev" | "src" | "table">;

function routeWords({ dst, via, dev, src, table }: RouteKey): string {
  return escapeControls(`${dst} via ${via} dev ${dev} src ${src} table ${table}`);
}

function columns(style: Style, now: number): Column<RouteSnapshot>[] {
  const { tables } = readIproute2Names();
  return [
    { title: "DST", cell: (r) => r.dst },
    { title: "VIA", cell: (r) => r.via },
    { title: "DEV", cell: (r) => r.dev, dropOrder: 6 },
    { title: "SRC", cell: (r) => r.src, dropOrder: 4 },
    { title: "TABLE", cell: (r) => tables.nameOf(r.table) ?? String(r.table), dropOrder: 5 },
    { title: "STATE", cell: routeState, paint: paintRoute(style) },
    { title: "SINCE", cell: (r) => age(r.since, now), dropOrder: 7 },
    { title: "SESSION", cell: (r) => r.session_state, dropOrder: 3 },
    { title: "PROBE", cell: (r) => r.probe, dropOrder: 2 },
    { title: "FROM", cell: (r) => r.origin, dropOrder: 1 },
    { title: "WHY", cell: whyRoute, shrinkTo: 36 },
  ];
}

function paintRoute(style: Style): (text: string, route: RouteSnapshot) => string {
  return (text, route) => {
    if (route.excluded) return style.quiet(text);
    if (route.installed) return style.good(text);
    return style.bad(text);
  };
}
