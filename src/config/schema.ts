/**
 * The configuration file's schema: the one list of its keys.
 *
 * Validation, defaults, the JSON Schema, the hints for mistyped keys and the check of
 * docs/configuration.md all come from the object below.
 */
import * as v from "valibot";
import {
  clientVersion,
  duration,
  flag,
  hostAddress,
  integer,
  interfaceName,
  ipv4,
  listenAddress,
  MAX_DURATION_US,
  MAX_WIRE_US,
  nameOrNumber,
  oneOf,
  prefix,
  socketPath,
  stateFile,
  word,
} from "./fields.ts";

/** A mapping that refuses keys it does not have, each with its own problem. */
function section<const E extends v.ObjectEntries>(description: string, entries: E) {
  return v.pipe(
    v.objectWithRest(entries, v.never(), 'a mapping (indented lines of "key: value")'),
    v.description(description),
  );
}

const PROTOCOLS_FILE = "/etc/iproute2/rt_protos";
const TABLES_FILE = "/etc/iproute2/rt_tables";
const MAX_U32 = 0xffff_ffff;

const liveness = section("The liveness protocol's parameters.", {
  bind: v.optional(
    ipv4("Local address that sessions may use; 0.0.0.0 allows all.", "10.0.0.1"),
    "0.0.0.0",
  ),
  port: v.optional(integer("UDP port, here and at the peers.", 0, 65535), 44880),
  tx_min: v.optional(
    duration("Shortest interval at which we want to send.", { maxUs: MAX_WIRE_US }),
    "1s",
  ),
  rx_min: v.optional(
    duration("Shortest interval at which we want to receive.", { maxUs: MAX_WIRE_US }),
    "1s",
  ),
  detect_mult: v.optional(
    integer("How many intervals without a packet take a session down.", 1, 255),
    3,
  ),
  min_tx_floor: v.optional(
    duration("No interval is ever shorter, whatever a peer asks.", { maxUs: MAX_WIRE_US }),
    "50ms",
  ),
  max_tx_ceil: v.optional(
    duration("No interval is ever longer, except while down.", { maxUs: MAX_WIRE_US }),
    "3s",
  ),
  backoff_max: v.optional(
    duration("Longest interval while a session is down.", { maxUs: MAX_DURATION_US }),
    "60s",
  ),
  max_events: v.optional(
    integer("Bound of the scheduler's queue of detection events.", 1, 0x7fff_ffff),
    10240,
  ),
  honor_peer_passive: v.optional(
    flag("Keep a route installed while its peer says that it is passive."),
    true,
  ),
  client_version: v.optional(
    clientVersion("Version that we advertise to peers; the program's own unless given."),
  ),
});

const kernel = section("How routes are written to the kernel.", {
  protocol: v.optional(
    nameOrNumber("Route protocol that marks our routes.", PROTOCOLS_FILE, 1, 255),
    "bgp",
  ),
  reconcile_interval: v.optional(
    duration("How often the kernel's routes are compared with the wanted ones.", {
      offMeans: "never",
      maxUs: MAX_DURATION_US,
    }),
    "30s",
  ),
  on_shutdown: v.optional(
    oneOf("What becomes of installed routes when the daemon stops.", ["keep", "withdraw"]),
    "keep",
  ),
});

/** One entry of `routes`; the API takes the same. */
export const routeSchema = section("A route and the session that decides about it.", {
  dst: prefix("Destination prefix; an address alone is a /32."),
  via: hostAddress("Next hop.", "10.0.0.2"),
  dev: interfaceName("Interface that the session runs on and the route leads out of."),
  src: hostAddress("Local address of the session, preferred source of the route.", "10.0.0.1"),
  table: v.optional(
    nameOrNumber("Routing table of the route.", TABLES_FILE, 1, MAX_U32),
    "main",
  ),
  probe: v.optional(
    hostAddress("Whom to probe; the destination of a /32 unless given.", "10.1.0.1"),
  ),
  no_uninstall: v.optional(
    flag("Leave the route in the kernel when its session goes down."),
    false,
  ),
});

const probePath = section("How probes reach peers whose route is not installed.", {
  table: v.optional(
    nameOrNumber("Routing table of our own for probe routes.", TABLES_FILE, 1, MAX_U32),
    44880,
  ),
  mark: v.optional(integer("Firewall mark of probe packets.", 1, MAX_U32), 44880),
  rule_priority: v.optional(
    integer("Priority of the rule that sends marked packets to the table.", 1, 32765),
    90,
  ),
});

const metrics = section("Prometheus metrics over TCP.", {
  listen: v.optional(listenAddress("Where metrics and health are served; off unless given.")),
  peer_metrics: v.optional(flag("Also export series for each peer."), false),
});

const api = section("The control API.", {
  socket: v.optional(
    socketPath("Path of the Unix socket of the control API."),
    "/run/livenessd/livenessd.sock",
  ),
  group: v.optional(
    word("Group that may use the socket besides root; root alone unless given.", "a group's name"),
  ),
});

const state = section("What one run leaves to the next.", {
  file: v.optional(
    stateFile("File for sessions and routes; beside api.socket unless given; off: none."),
  ),
});

const log = section("The log on standard error.", {
  level: v.optional(
    oneOf("Least severity that is logged.", ["debug", "info", "warn", "error"]),
    "info",
  ),
  format: v.optional(
    oneOf("Form of a log line; text on a terminal and json elsewhere unless given.", [
      "json",
      "text",
    ]),
  ),
});

const excluded = ipv4("A destination.", "10.1.0.9");

/** The file. A section or list with nothing under it is as good as left out. */
export const configSchema = section("Configuration of livenessd.", {
  mode: v.optional(
    oneOf("active: sessions decide about routes; passive: install at once and only observe.", [
      "active",
      "passive",
    ]),
    "passive",
  ),
  liveness: v.nullish(liveness, {}),
  kernel: v.nullish(kernel, {}),
  routes: v.nullish(listOf(routeSchema, "Wanted routes; more can come by the API."), []),
  probe_path: v.nullish(probePath, {}),
  exclude: v.nullish(
    listOf(excluded, "Destinations whose routes are never added to or deleted from the kernel."),
    [],
  ),
  route_config: v.optional(
    word(
      'JSON file {"exclude": [ADDRESS, ...]} with more of them, relative to this file.',
      "a file's path",
    ),
  ),
  metrics: v.nullish(metrics, {}),
  api: v.nullish(api, {}),
  state: v.nullish(state, {}),
  log: v.nullish(log, {}),
});

/** The file that `route_config` names. */
export const routeConfigSchema = section("Destinations that are left alone.", {
  exclude: v.nullish(listOf(excluded, "Addresses."), []),
});

function listOf<const S extends v.GenericSchema>(item: S, description: string) {
  return v.pipe(v.array(item, 'a list (lines that start with "- ")'), v.description(description));
}

/** What validation makes of the file: defaults filled in, durations in µs, names still names. */
export type ConfigValues = v.InferOutput<typeof configSchema>;
export type RouteValues = v.InferOutput<typeof routeSchema>;
