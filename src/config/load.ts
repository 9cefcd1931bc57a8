/**
 * Text to {@link Config}, or to every problem that it has.
 *
 * The steps: text to values (document), command line over them (overrides), each value by itself
 * (validate), names to numbers (resolve), values against each other (checks).
 */
import { checkLiveness, checkProbeTable, checkProtocol, checkStateFile } from "./checks.ts";
import type { Config, RouteConfig } from "./config.ts";
import { type Document, parseYaml } from "./document.ts";
import { Findings, inReadingOrder, type Source } from "./findings.ts";
import type { Iproute2Names, NameTable } from "./iproute2_names.ts";
import { applyOverrides, type Override } from "./overrides.ts";
import { type KeyPath, mismatch, type Problem } from "./problem.ts";
import { isComplete, resolveName, resolveRoute, type RouteDraft } from "./resolve.ts";
import { checkRoute, checkRoutesTogether, type RouteSurroundings } from "./route_checks.ts";
import { excludedByFile, type ReadFile } from "./route_config.ts";
import { configSchema, type ConfigValues } from "./schema.ts";
import { type Draft, validate } from "./validate.ts";

/** What loading needs besides the text. */
export interface LoadOptions {
  /** Names of routing tables and protocols on this host. */
  readonly names: Iproute2Names;
  /** Advertised to peers unless `liveness.client_version` says otherwise. */
  readonly programVersion: string;
  /** `key.path=value` each, in order; they win over the file. */
  readonly overrides?: readonly string[];
  /** Reads the file that `route_config` names; without it that key is refused. */
  readonly readFile?: ReadFile;
}

export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | {
    readonly ok: false;
    readonly problems: readonly Problem[];
    readonly warnings: readonly Problem[];
  };

/** Reads a configuration. Never throws; touches nothing but what `options.readFile` does. */
export function loadConfig(text: string, fileName: string, options: LoadOptions): LoadResult {
  const parsed = parseYaml(text, fileName);
  if (!parsed.ok) return { ok: false, problems: parsed.problems, warnings: [] };
  const { document } = parsed;
  if (document.data === null) return refusedAsEmpty(fileName);
  const { data, applied, problems } = applyOverrides(document.data, options.overrides ?? []);
  const findings = new Findings(sourceOf(document, data, applied));
  findings.add(problems);
  const config = understand(fileName, options, findings);
  const warnings = inReadingOrder(findings.warnings);
  if (config !== null && findings.problems.length === 0) return { ok: true, config, warnings };
  return { ok: false, problems: inReadingOrder(findings.problems), warnings };
}

/** Nobody means an empty file: it is a wrong path, a failed template or a full disk. */
function refusedAsEmpty(file: string): LoadResult {
  const expected =
    'at least one setting, for example "mode: active" ({} if all defaults are meant)';
  const place = { file, line: null, column: null };
  return {
    ok: false,
    problems: [mismatch(place, [], "a file without settings", expected)],
    warnings: [],
  };
}

/** The file's places, except for what the command line said. */
function sourceOf(document: Document, data: unknown, applied: readonly Override[]): Source {
  return {
    data,
    locate(path) {
      const said = applied.findLast((override) => startsWith(path, override.path)) ??
        (document.has(path) ? undefined : applied.findLast(({ path: p }) => startsWith(p, path)));
      return said === undefined
        ? document.locate(path)
        : { file: said.label, line: null, column: null };
    },
  };
}

function startsWith(path: KeyPath, start: KeyPath): boolean {
  return start.length <= path.length && start.every((step, index) => step === path[index]);
}

function understand(fileName: string, options: LoadOptions, findings: Findings): Config | null {
  const { values, draft } = validate(configSchema, findings);
  const { names, programVersion } = options;
  const number = (key: [string, string], table: NameTable, given: string | number | undefined) =>
    resolveName(given, table, key, findings);
  const protocol = checkProtocol(
    number(["kernel", "protocol"], names.protocols, draft.kernel?.protocol),
    findings,
  );
  const probeTable = checkProbeTable(
    number(["probe_path", "table"], names.tables, draft.probe_path?.table),
    findings,
  );
  checkLiveness(draft.liveness ?? {}, findings);
  checkStateFile(draft.state?.file, draft.api?.socket, findings);
  const surroundings = { bind: draft.liveness?.bind, probeTable };
  const routes = understandRoutes(draft, names, surroundings, findings).filter(isComplete);
  const listed = (draft.exclude ?? []).filter((address) => address !== undefined);
  const read = excludedByFile(draft.route_config, fileName, options.readFile, findings);
  const exclude = [...new Set([...listed, ...read])];
  if (values === null || protocol === undefined || probeTable === undefined) return null;
  return toConfig(values, { protocol, probeTable, routes, exclude, programVersion });
}

function understandRoutes(
  { routes }: Draft<ConfigValues>,
  names: Iproute2Names,
  surroundings: RouteSurroundings,
  findings: Findings,
): RouteDraft[] {
  const pathOf = (index: number) => ["routes", index];
  const drafts = (routes ?? []).map((values, index) => {
    if (values === undefined) return {};
    const route = resolveRoute(values, pathOf(index), names, findings);
    checkRoute(route, pathOf(index), surroundings, findings);
    return route;
  });
  checkRoutesTogether(drafts, pathOf, findings);
  return drafts;
}

interface Resolved {
  readonly protocol: number;
  readonly probeTable: number;
  readonly routes: readonly RouteConfig[];
  readonly exclude: readonly string[];
  readonly programVersion: string;
}

/** The file's words to the program's. */
function toConfig(values: ConfigValues, resolved: Resolved): Config {
  const { mode, liveness, kernel, probe_path: probePath, metrics, api, state, log } = values;
  return {
    mode,
    liveness: {
      bind: liveness.bind,
      port: liveness.port,
      txMinUs: liveness.tx_min,
      rxMinUs: liveness.rx_min,
      detectMult: liveness.detect_mult,
      minTxFloorUs: liveness.min_tx_floor,
      maxTxCeilUs: liveness.max_tx_ceil,
      backoffMaxUs: liveness.backoff_max,
      maxEvents: liveness.max_events,
      honorPeerPassive: liveness.honor_peer_passive,
      clientVersion: liveness.client_version ?? resolved.programVersion,
    },
    kernel: {
      protocol: resolved.protocol,
      reconcileIntervalUs: kernel.reconcile_interval,
      onShutdown: kernel.on_shutdown,
    },
    routes: resolved.routes,
    probePath: {
      table: resolved.probeTable,
      mark: probePath.mark,
      rulePriority: probePath.rule_priority,
    },
    exclude: resolved.exclude,
    metrics: { listen: metrics.listen ?? null, peerMetrics: metrics.peer_metrics },
    api: { socket: api.socket, group: api.group ?? null },
    state: { file: stateFile(state.file, api.socket) },
    log: { level: log.level, format: log.format ?? null },
  };
}

/**
 * Unless it is named or switched off, the state file lies beside the control socket: two daemons have two
 * sockets, and must not overwrite each other's state.
 */
function stateFile(given: string | undefined, socket: string): string | null {
  if (given === "off") return null;
  return given ?? `${socket.replace(/\.sock$/, "")}.state.json`;
}
