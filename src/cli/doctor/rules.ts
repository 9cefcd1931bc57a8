/** The rules that choose tables: do they lead to the routes' tables, and the probes to theirs? */
import type { ProbePathConfig } from "../../config/config.ts";
import type { Facts, ListedRoute, Rule } from "./facts.ts";
import { failure, type Finding, orFine, undetermined, warning } from "./finding.ts";

/** Selectors by which a rule leaves other packets than the probes out. */
const NARROWING = [
  "iif",
  "oif",
  "tos",
  "dsfield",
  "ipproto",
  "sport",
  "dport",
  "uid_start",
  "tun_id",
];

/** Each table of a configured route is looked up by a rule. */
export async function checkTables(facts: Facts): Promise<Finding[]> {
  const tables = [...new Set(facts.config.routes.map(({ table }) => table))];
  if (tables.length === 0) return [];
  const rules = await facts.rules();
  if (!rules.ok) return [undetermined("table_rule", "Whether rules lead to the tables", rules)];
  const reached = new Set(
    rules.value.flatMap(({ table, action }) => action ? [] : [Number(table)]),
  );
  if (rules.value.some((rule) => "l3mdev" in rule)) {
    for (const table of await vrfTables(facts)) reached.add(table);
  }
  const problems = tables.filter((table) => !reached.has(table)).map((table) => {
    const name = facts.names.tables.nameOf(table) ?? String(table);
    return failure(
      `table_rule:${table}`,
      `No rule leads to table ${name}`,
      "The kernel never looks there: routes in it are installed and without any effect.",
      `ip rule add lookup ${table} priority 32000`,
    );
  });
  return orFine(problems, "table_rule", "Rules lead to the tables of all routes");
}

interface VrfLink {
  readonly linkinfo?: { readonly info_data?: { readonly table?: number } };
}

/** Tables that the l3mdev rule leads to. */
async function vrfTables(facts: Facts): Promise<number[]> {
  const links = await facts.ip<VrfLink>("-d", "link", "show", "type", "vrf");
  return links.ok ? links.value.flatMap((link) => link.linkinfo?.info_data?.table ?? []) : [];
}

/** The probes' rule comes first for their packets, and for theirs alone. */
export async function checkProbeRule(facts: Facts): Promise<Finding[]> {
  const { probePath, kernel: { protocol } } = facts.config;
  const rules = await facts.rules();
  // Said already, where the tables are.
  if (!rules.ok) return [];
  const others = rules.value.filter((rule) => !isOurs(rule, probePath));
  const problems = [
    ...others.flatMap((rule) => problemOfRule(rule, probePath) ?? []),
    ...await foreignRoutes(facts, probePath.table, protocol),
  ];
  const words =
    `The probes' rule (priority ${probePath.rulePriority}, mark ${probePath.mark}) has no rival`;
  return orFine(problems, "probe_rule", words);
}

function isOurs(rule: Rule, { table, mark, rulePriority }: ProbePathConfig): boolean {
  return rule.priority === rulePriority && Number(rule.table) === table &&
    Number(rule.fwmark) === mark;
}

function problemOfRule(rule: Rule, probePath: ProbePathConfig): Finding | null {
  const { mark, rulePriority, table } = probePath;
  // Table local comes first on every host, and knows no peer.
  if (rule.priority === 0 || !mayMatch(rule, mark)) return null;
  const id = `probe_rule:${rule.priority}`;
  const lookup = rule.table === undefined ? "" : ` to table ${rule.table}`;
  const what = `Rule ${rule.priority}${lookup}`;
  if (rule.priority <= rulePriority) {
    return warning(
      id,
      `${what} comes before the probes' rule (${rulePriority}) and takes their packets too`,
      "Probes then may leave by another way than the route, and sessions stay down or tell of the wrong " +
        `path. Set probe_path.rule_priority below ${rule.priority}.`,
    );
  }
  if (rule.fwmark === undefined || rule.not !== undefined || !exactly(rule, mark)) return null;
  return warning(
    id,
    `${what} is for mark ${mark}, which is that of the probes`,
    `Somebody else marks packets with it: they take table ${table}, which holds routes for probes only. ` +
      "Set probe_path.mark to another number.",
    `livenessd run --set probe_path.mark=${mark + 1}`,
  );
}

/** Whether a rule is for packets with this mark, whatever their addresses and interface. */
export function mayMatch(rule: Rule, mark: number): boolean {
  const anywhere = (rule.src ?? "all") === "all" && (rule.dst ?? "all") === "all" &&
    NARROWING.every((selector) => !(selector in rule)) && !("l3mdev" in rule);
  if (!anywhere) return false;
  if (rule.fwmark === undefined) return true;
  const matches = marked(rule, mark);
  return rule.not === undefined ? matches : !matches;
}

function marked({ fwmark, fwmask }: Rule, mark: number): boolean {
  const mask = BigInt(fwmask ?? 0xffff_ffff);
  return (BigInt(mark) & mask) === (BigInt(fwmark!) & mask);
}

function exactly(rule: Rule, mark: number): boolean {
  return rule.fwmask === undefined && Number(rule.fwmark) === mark;
}

/** Routes of others in the table that is to be ours alone. */
async function foreignRoutes(facts: Facts, table: number, protocol: number): Promise<Finding[]> {
  const routes = await facts.ip<ListedRoute>("route", "show", "table", String(table));
  if (!routes.ok) return [undetermined("probe_rule:table", `Who uses table ${table}`, routes)];
  const foreign = routes.value.filter((route) => route.protocol !== String(protocol));
  if (foreign.length === 0) return [];
  const [first] = foreign;
  return [warning(
    "probe_rule:table",
    `Table ${table}, that of the probes, holds ${foreign.length} route(s) of others, as to ${
      first!.dst
    }`,
    "Probes may follow them instead of the route. Set probe_path.table to a table that nothing else uses.",
  )];
}
