/**
 * The rules of the house that `deno lint` enforces (deno.json loads this file as a lint plugin):
 *
 * - `livenessd/rooms`: nothing imports uphill; the table of docs/architecture.md as data.
 * - `livenessd/seams`: only the implementation of a seam reads a clock, draws randomness, opens a socket.
 * - `livenessd/memory`: only `ffi/` touches native memory.
 */

const root = new URL("..", import.meta.url).pathname;

/** What a room may import, besides itself, packages and src/std. */
interface Room {
  /** Rooms whose everything it may import. */
  readonly uses?: readonly string[];
  /** Rooms that it knows by their interface files only. */
  readonly interfaces?: readonly string[];
  /** Rooms whose types it may name; `*` is all. */
  readonly types?: readonly string[];
}

/** Rooms that are not here (tests, bench, scripts, main.ts, src/cli) may import everything. */
const rooms: Readonly<Record<string, Room>> = {
  ffi: {},
  std: {},
  protocol: {},
  scheduler: { uses: ["protocol"] },
  transport: { uses: ["ffi", "protocol"] },
  kernel: { uses: ["ffi"] },
  manager: { uses: ["protocol", "scheduler"], interfaces: ["transport", "kernel"] },
  sources: { interfaces: ["manager", "kernel"] },
  observe: { types: ["*"] },
  api: { uses: ["manager", "observe"], types: ["kernel"] },
  config: { types: ["*"] },
};

/** The files by which a room is known to those that see only its interface. */
const interfaces: readonly string[] = [
  "src/kernel/change.ts",
  "src/kernel/kernel.ts",
  "src/kernel/route.ts",
  "src/manager/manager_api.ts",
  "src/manager/snapshot.ts",
  "src/transport/transport.ts",
  "src/transport/address.ts",
];

/** Records that all parts hand around: their types may be named everywhere but in the bottom rooms. */
const vocabulary: readonly string[] = ["src/config/config.ts", "src/observe/event.ts"];
const bottom: readonly string[] = ["ffi", "protocol", "std"];

/** What reads time, randomness or the network, and would make a simulation irreproducible. */
const sources: ReadonlySet<string> = new Set([
  "Date.now",
  "new Date",
  "performance.now",
  "setTimeout",
  "setInterval",
  "Math.random",
  "crypto.getRandomValues",
  "crypto.randomUUID",
  "Deno.listenDatagram",
  "Deno.listen",
  "Deno.connect",
]);

/** The seams' real implementations, and the few places that only ever run in the daemon. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "src/scheduler/system_clock.ts": ["Date.now", "performance.now", "setTimeout"],
  "src/scheduler/system_random.ts": ["Math.random", "crypto.getRandomValues"],
  "src/transport/udp_endpoint.ts": ["Deno.listenDatagram"],
  // For how long a process found in /proc is taken for the same one.
  "src/kernel/netlink_kernel.ts": ["performance.now"],
  // A long answer lets the loop turn between two slices.
  "src/api/context.ts": ["setTimeout"],
  // The doctor tries whether a port is free.
  "src/cli/doctor/real_host.ts": ["Deno.listenDatagram"],
  // Whether a daemon lives behind a socket file is asked of the socket.
  "src/api/unix_socket.ts": ["Deno.connect"],
  // At the end, clients that do not hang up are waited for only so long.
  "src/api/server.ts": ["setTimeout"],
  // Nor is a kernel that does not answer waited for longer.
  "src/cli/run.ts": ["setTimeout"],
};

/** A path's room, and `null` for those without rules. */
function roomOf(path: string): string | null {
  const [, first, second] = /^(ffi|src\/([^/]+))\//.exec(path) ?? [];
  const name = second ?? first;
  return name !== undefined && name in rooms ? name : null;
}

/** Why `from` must not import `to`; `null` when it may. Paths are relative to the project. */
function objection(from: string, to: string, typesOnly: boolean): string | null {
  const room = roomOf(from);
  if (room === null) return null;
  const target = /^(?:src\/)?([^/]+)\//.exec(to)?.[1] ?? to;
  const { uses = [], interfaces: known = [], types = [] } = rooms[room];
  if (target === room || target === "std" || uses.includes(target)) return null;
  if (known.includes(target)) {
    return interfaces.includes(to)
      ? null
      : `${room}/ knows ${target}/ by its interface only (${
        interfaces.filter((path) => path.startsWith(`src/${target}/`)).join(", ")
      }), not ${to}`;
  }
  const namedTypes = types.includes("*") || types.includes(target) ||
    (vocabulary.includes(to) && !bottom.includes(room));
  if (!namedTypes) return `${room}/ must not import ${to}: that is uphill`;
  return typesOnly ? null : `${room}/ may import only types of ${to}: write "import type"`;
}

/** The file's path within the project. */
function pathOf(context: Deno.lint.RuleContext): string {
  return context.filename.startsWith(root) ? context.filename.slice(root.length) : context.filename;
}

const roomsRule: Deno.lint.Rule = {
  create(context) {
    const from = pathOf(context);
    const judge = (node: Deno.lint.Node, specifier: unknown, typesOnly: boolean) => {
      // Bare names are packages; `deno.json` maps them.
      if (typeof specifier !== "string" || !specifier.startsWith(".")) return;
      const to = new URL(specifier, `file:///${from}`).pathname.slice(1);
      const message = objection(from, to, typesOnly);
      if (message !== null) context.report({ node, message });
    };
    return {
      ImportDeclaration: (node) => judge(node, node.source.value, node.importKind === "type"),
      ExportNamedDeclaration: (node) => judge(node, node.source?.value, node.exportKind === "type"),
      ExportAllDeclaration: (node) => judge(node, node.source.value, node.exportKind === "type"),
      ImportExpression(node) {
        if (node.source.type === "Literal") judge(node, node.source.value, false);
        else if (roomOf(from) !== null) {
          context.report({ node, message: "an import whose target is computed cannot be checked" });
        }
      },
    };
  },
};

const seamsRule: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context);
    if (!/^(src|ffi|tests\/simulation)\//.test(path)) return {};
    const judge = (node: Deno.lint.Node, source: string) => {
      if (!sources.has(source) || allowed[path]?.includes(source)) return;
      context.report({
        node,
        message: `${source} belongs behind a seam (Clock, Random, Transport)`,
      });
    };
    return {
      MemberExpression: (node) => judge(node, context.sourceCode.getText(node)),
      CallExpression(node) {
        if (node.callee.type === "Identifier") judge(node, node.callee.name);
      },
      NewExpression(node) {
        const bare = node.callee.type === "Identifier" && node.arguments.length === 0;
        if (bare) judge(node, `new ${context.sourceCode.getText(node.callee)}`);
      },
    };
  },
};

const memoryRule: Deno.lint.Rule = {
  create(context) {
    const path = pathOf(context);
    if (path.startsWith("ffi/")) return {};
    return {
      MemberExpression(node) {
        const name = context.sourceCode.getText(node);
        if (!/^Deno\.(Unsafe\w*|dlopen)$/.test(name)) return;
        context.report({ node, message: `${name}: only ffi/ touches native memory` });
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "livenessd",
  rules: { rooms: roomsRule, seams: seamsRule, memory: memoryRule },
};

export default plugin;
