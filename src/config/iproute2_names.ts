/**
 * The names that iproute2 gives to routing tables and route protocols, both ways.
 *
 * `ip` knows some names by itself; files add to them and rename. Like it, the first main file of
 * `/etc/iproute2`, `/usr/share/iproute2`, `/usr/lib/iproute2` counts, then every `.d/*.conf`, where one in
 * `/etc` hides one of the same name elsewhere.
 */

/** How names are read; injected, so that tests need no such files. */
export interface NameFiles {
  /** The file's text; `null` when it does not exist or cannot be read. */
  read(path: string): string | null;
  /** Names of a directory's entries; empty when it does not exist or cannot be read. */
  list(directory: string): readonly string[];
}

/** One file's worth of names, e.g. those of routing tables. */
export interface NameTable {
  /** The number of a name; `undefined` when nobody defines it. */
  numberOf(name: string): number | undefined;
  /** The name of a number; `undefined` when it has none. */
  nameOf(number: number): string | undefined;
  /** Every known name, by number. */
  readonly names: readonly string[];
  /** The files that were read; empty when only the built-in names are known. */
  readonly files: readonly string[];
  /** The file in which an operator would define a name. */
  readonly homeFile: string;
}

export interface Iproute2Names {
  readonly tables: NameTable;
  readonly protocols: NameTable;
}

const ETC = "/etc/iproute2";
const FALLBACKS = ["/usr/share/iproute2", "/usr/lib/iproute2"];

const BUILTIN_TABLES: ReadonlyMap<string, number> = new Map([
  ["unspec", 0],
  ["default", 253],
  ["main", 254],
  ["local", 255],
]);

const BUILTIN_PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["unspec", 0],
  ["redirect", 1],
  ["kernel", 2],
  ["boot", 3],
  ["static", 4],
  ["gated", 8],
  ["ra", 9],
  ["mrt", 10],
  ["zebra", 11],
  ["bird", 12],
  ["dnrouted", 13],
  ["xorp", 14],
  ["ntk", 15],
  ["dhcp", 16],
  ["mrouted", 17],
  ["keepalived", 18],
  ["babel", 42],
  ["openr", 99],
  ["bgp", 186],
  ["isis", 187],
  ["ospf", 188],
  ["rip", 189],
  ["eigrp", 192],
]);

/** Reads the names of this host; without `files`, from its file system. Never fails. */
export function readIproute2Names(files: NameFiles = hostFiles): Iproute2Names {
  return {
    tables: nameTable("rt_tables", 0xffff_ffff, BUILTIN_TABLES, files),
    protocols: nameTable("rt_protos", 0xff, BUILTIN_PROTOCOLS, files),
  };
}

/** The names that hold on every host. */
export const BUILTIN_NAMES: Iproute2Names = readIproute2Names({ read: () => null, list: () => [] });

function nameTable(
  file: string,
  max: number,
  builtin: ReadonlyMap<string, number>,
  files: NameFiles,
): NameTable {
  const numbers = new Map(builtin);
  const names = new Map([...builtin].map(([name, number]) => [number, name]));
  const consulted: string[] = [];
  for (const path of pathsInOrder(file, files)) {
    const text = files.read(path);
    if (text === null) continue;
    consulted.push(path);
    for (const [name, number] of parseNames(text, max)) {
      numbers.set(name, number);
      names.set(number, name);
    }
  }
  return {
    numberOf: (name) => numbers.get(name),
    nameOf: (number) => names.get(number),
    names: [...numbers].sort(([, a], [, b]) => a - b).map(([name]) => name),
    files: consulted,
    homeFile: `${ETC}/${file}`,
  };
}

/** Later paths win over earlier ones. */
function pathsInOrder(file: string, files: NameFiles): string[] {
  const directories = [ETC, ...FALLBACKS];
  const main = directories.map((directory) => `${directory}/${file}`)
    .find((path) => files.read(path) !== null);
  const dropIns = new Map<string, string>();
  for (const directory of directories.toReversed()) {
    for (const name of files.list(`${directory}/${file}.d`)) {
      if (name.endsWith(".conf") && !name.startsWith(".")) {
        dropIns.delete(name);
        dropIns.set(name, `${directory}/${file}.d/${name}`);
      }
    }
  }
  return [...(main === undefined ? [] : [main]), ...dropIns.values()];
}

/**
 * The `number name` lines of a file; the number is decimal or hexadecimal. A line that is neither that
 * nor a comment is skipped: a typing error in one name must not take all others away.
 */
export function parseNames(text: string, max: number): [name: string, number: number][] {
  const found: [string, number][] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*(0x[0-9a-f]+|\d+)\s+([^\s#]+)\s*(?:#.*)?$/i.exec(line);
    if (match === null) continue;
    const [, number = "", name = ""] = match;
    if (Number(number) <= max) found.push([name, Number(number)]);
  }
  return found;
}

const hostFiles: NameFiles = {
  read(path) {
    try {
      return Deno.readTextFileSync(path);
    } catch {
      return null; // absent on many hosts; what is missing shows as an unknown name
    }
  },
  list(directory) {
    try {
      return [...Deno.readDirSync(directory)].map((entry) => entry.name).sort();
    } catch {
      return [];
    }
  },
};
