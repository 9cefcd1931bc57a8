/** nft's JSON (libnftables-json(5)) as a firewall model. What it does not know, it says it cannot tell. */
import type {
  BaseChain,
  Branch,
  Chain,
  FirewallRule,
  Packet,
  Truth,
  Verdict,
} from "./firewall_model.ts";
import { and, fitsName, inPrefix, inRange, inStates, not, or } from "./firewall_values.ts";
import { quote } from "./shell.ts";

// deno-lint-ignore no-explicit-any -- another program's JSON, looked at piece by piece
type Json = any;

/** What the packet has where an expression looks; `undefined`: cannot be told, `null`: nothing. */
type Seen = string | number | null | undefined | readonly Seen[];

const DIRECTIONS: Readonly<Record<string, "in" | "out">> = {
  ingress: "in",
  prerouting: "in",
  input: "in",
  output: "out",
  postrouting: "out",
  egress: "out",
};
const FAMILIES: ReadonlySet<string> = new Set(["ip", "inet", "netdev"]);
/** Statements that let a packet go on. */
const HARMLESS: ReadonlySet<string> = new Set(["counter", "log", "mangle", "comment", "notrack"]);

/** The base chains that IPv4 packets from or to this host pass; `skip` leaves out tables. */
export function nftChains(
  ruleset: Json,
  skip: (family: string, table: string) => boolean = () => false,
): BaseChain[] {
  const objects: Json[] = ruleset?.nftables ?? [];
  const chains = new Map<string, Chain>();
  const bases: BaseChain[] = [];
  for (const { chain } of objects) {
    if (chain === undefined || !FAMILIES.has(chain.family) || skip(chain.family, chain.table)) {
      continue;
    }
    const made = baseChain(chain) ?? { rules: [] };
    if ("direction" in made) bases.push(made as BaseChain);
    chains.set(keyOf(chain.family, chain.table, chain.name), made);
  }
  const sets = new Map<string, Json[]>();
  for (const object of objects) {
    const set = object.set ?? object.map;
    if (set !== undefined) sets.set(keyOf(set.family, set.table, set.name), set.elem ?? []);
  }
  for (const { rule } of objects) {
    if (rule === undefined) continue;
    const chain = chains.get(keyOf(rule.family, rule.table, rule.chain));
    chain?.rules.push(new RuleReader(rule, chains, sets).read());
  }
  return bases;
}

function keyOf(family: string, table: string, name: string): string {
  return `${family} ${table} ${name}`;
}

function baseChain(chain: Json): BaseChain | null {
  const direction = DIRECTIONS[chain.hook];
  if (direction === undefined) return null;
  const { family, table, name } = chain;
  return {
    rules: [],
    where: `chain ${name}, table ${family} ${table}`,
    direction,
    policy: chain.policy === "drop" ? "drop" : "accept",
    dev: typeof chain.dev === "string" ? chain.dev : null,
    allow: (port) => allowCommand(family, table, name, port),
  };
}

/** The firewall's own tool where one is known to own the table: it would undo what another does. */
function allowCommand(family: string, table: string, chain: string, port: number): string {
  if (table === "firewalld") {
    return `firewall-cmd --permanent --add-port=${port}/udp && firewall-cmd --reload`;
  }
  return `nft insert rule ${family} ${quote(table)} ${quote(chain)} udp dport ${port} accept`;
}

/** Reads one rule. */
class RuleReader {
  readonly #rule: Json;
  readonly #chains: ReadonlyMap<string, Chain>;
  readonly #sets: ReadonlyMap<string, Json[]>;

  constructor(rule: Json, chains: ReadonlyMap<string, Chain>, sets: ReadonlyMap<string, Json[]>) {
    this.#rule = rule;
    this.#chains = chains;
    this.#sets = sets;
  }

  read(): FirewallRule {
    const { family, table, chain, handle, comment } = this.#rule;
    const said = typeof comment === "string" ? ` "${comment}"` : "";
    const conditions: ((packet: Packet) => Truth)[] = [];
    const branches: Branch[] = [];
    const add = (verdict: Verdict, more?: (packet: Packet) => Truth) => {
      const all = more === undefined ? [...conditions] : [...conditions, more];
      branches.push({ verdict, matches: (packet) => and(all.map((one) => one(packet))) });
    };
    for (const statement of this.#rule.expr ?? []) {
      const [[name, value]] = Object.entries<Json>(statement) as [[string, Json]];
      if (HARMLESS.has(name)) continue;
      if (name === "match") conditions.push((packet) => this.#match(value, packet));
      else if (name === "vmap") this.#addMap(value, add);
      else if (isVerdict(name)) this.#addVerdict(name, value, add);
      else if (name === "xt") this.#addExtension(value, conditions, add);
      else conditions.push(() => null);
    }
    return { where: `rule ${handle}${said} of chain ${chain}, table ${family} ${table}`, branches };
  }

  #addVerdict(name: string, value: Json, add: (verdict: Verdict) => void): void {
    const verdict = this.#verdict(name, value);
    if (verdict !== null) add(verdict);
  }

  /** An extension of iptables, of which nft shows at most the name. */
  #addExtension(
    value: Json,
    conditions: ((packet: Packet) => Truth)[],
    add: (verdict: Verdict) => void,
  ): void {
    if (value?.type === "match" && value.name === "comment") return;
    if (value?.type === "target") {
      if (value.name === "REJECT") add({ kind: "drop" });
      return;
    }
    conditions.push(() => null);
    // Without its name it may be the rule's verdict.
    if (value === null) add({ kind: "drop" });
  }

  #verdict(name: string, value: Json): Verdict | null {
    if (name === "accept" || name === "return" || name === "drop") return { kind: name };
    if (name === "reject") return { kind: "drop" };
    if (name !== "jump" && name !== "goto") return null;
    const { family, table } = this.#rule;
    const chain = this.#chains.get(keyOf(family, table, value?.target));
    return chain === undefined ? null : { kind: name, chain };
  }

  #addMap(
    { key, data }: Json,
    add: (verdict: Verdict, more: (packet: Packet) => Truth) => void,
  ): void {
    const entries: Json[] = typeof data === "string" ? this.#elements(data) ?? [] : data?.set ?? [];
    for (const [wanted, statement] of entries) {
      const [[name, value]] = Object.entries<Json>(statement) as [[string, Json]];
      const verdict = this.#verdict(name, value);
      if (verdict !== null) add(verdict, (packet) => this.#compare(key, look(key, packet), wanted));
    }
  }

  #match({ op, left, right }: Json, packet: Packet): Truth {
    const seen = look(left, packet);
    if (seen === null) return false;
    switch (op) {
      case "==":
      case "in":
        return this.#compare(left, seen, right);
      case "!=":
        return not(this.#compare(left, seen, right));
      case "<":
        return typeof seen === "number" ? seen < right : null;
      case ">":
        return typeof seen === "number" ? seen > right : null;
      case "<=":
        return typeof seen === "number" ? seen <= right : null;
      case ">=":
        return typeof seen === "number" ? seen >= right : null;
      default:
        return null;
    }
  }

  #compare(left: Json, seen: Seen, right: Json): Truth {
    if (seen === null) return false;
    if (left?.ct?.key === "state") return inStates(statesOf(right));
    if (seen === undefined) return null;
    if (typeof right === "string" && right.startsWith("@")) {
      const elements = this.#elements(right);
      return elements === null ? null : or(elements.map((one) => this.#compare(left, seen, one)));
    }
    const several = Array.isArray(right) ? right : right?.set;
    if (Array.isArray(several)) return or(several.map((one) => this.#compare(left, seen, one)));
    if (right?.elem !== undefined) return this.#compare(left, seen, right.elem.val);
    if (Array.isArray(seen)) return this.#compareConcat(left, seen, right);
    if (right?.prefix !== undefined) {
      return inPrefix(seen as string, `${right.prefix.addr}/${right.prefix.len}`);
    }
    if (right?.range !== undefined) return inRange(seen as string, right.range[0], right.range[1]);
    if (typeof right !== "string" && typeof right !== "number") return null;
    return same(left, seen as string | number, right);
  }

  #compareConcat(left: Json, seen: readonly Seen[], right: Json): Truth {
    if (!Array.isArray(right?.concat)) return null;
    return and(
      right.concat.map((one: Json, i: number) => this.#compare(left.concat[i], seen[i], one)),
    );
  }

  #elements(name: string): Json[] | null {
    const { family, table } = this.#rule;
    return this.#sets.get(keyOf(family, table, name.slice(1))) ?? null;
  }
}

function isVerdict(name: string): boolean {
  return ["accept", "drop", "return", "reject", "jump", "goto"].includes(name);
}

/** What the packet has where the left side looks. */
function look(left: Json, packet: Packet): Seen {
  if (Array.isArray(left?.concat)) return left.concat.map((one: Json) => look(one, packet));
  if (left?.payload !== undefined) return payload(left.payload, packet);
  if (left?.meta !== undefined) return meta(left.meta.key, packet);
  if (left?.fib?.result === "type" && left.fib.flags?.includes("daddr")) {
    return packet.direction === "in" ? "local" : undefined;
  }
  return undefined;
}

function payload({ protocol, field }: Json, packet: Packet): Seen {
  if (protocol === "udp" || protocol === "th") {
    return field === "dport" || field === "sport" ? packet.port : undefined;
  }
  if (protocol !== "ip") return protocol === undefined || protocol === "ether" ? undefined : null;
  if (field === "saddr") return packet.source ?? undefined;
  if (field === "daddr") return packet.destination ?? undefined;
  return field === "protocol" ? "udp" : undefined;
}

function meta(key: string, packet: Packet): Seen {
  const incoming = packet.direction === "in";
  switch (key) {
    case "l4proto":
      return "udp";
    case "protocol":
      return "ip";
    case "nfproto":
      return "ipv4";
    case "iifname":
    case "iif":
      return incoming ? packet.dev ?? undefined : null;
    case "oifname":
    case "oif":
      return incoming ? null : packet.dev ?? undefined;
    case "pkttype":
      return incoming ? "host" : undefined;
    case "mark":
      return incoming ? undefined : packet.mark;
    default:
      return undefined;
  }
}

function same(left: Json, seen: string | number, right: string | number): Truth {
  if (typeof right === "string" && /^[io]if/.test(left?.meta?.key ?? "")) {
    return fitsName(String(seen), right, "*");
  }
  if (seen === "udp" && right === 17) return true;
  return String(seen) === String(right);
}

function statesOf(right: Json): string[] {
  const several = Array.isArray(right) ? right : right?.set ?? [right];
  return several.filter((state: Json) => typeof state === "string");
}
