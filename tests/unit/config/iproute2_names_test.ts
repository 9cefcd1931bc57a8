import { assert, assertEquals } from "@std/assert";
import {
  BUILTIN_NAMES,
  parseNames,
  readIproute2Names,
} from "../../../src/config/iproute2_names.ts";

/** A host with these files and no others. */
function host(files: Record<string, string>) {
  return readIproute2Names({
    read: (path) => files[path] ?? null,
    list: (directory) =>
      Object.keys(files).filter((path) => path.startsWith(`${directory}/`))
        .map((path) => path.slice(directory.length + 1)),
  });
}

Deno.test("the usual names are known without any file, both ways", () => {
  const { tables, protocols } = BUILTIN_NAMES;
  for (const [name, number] of [["default", 253], ["main", 254], ["local", 255]] as const) {
    assertEquals(tables.numberOf(name), number);
    assertEquals(tables.nameOf(number), name);
  }
  const usual = {
    kernel: 2,
    boot: 3,
    static: 4,
    zebra: 11,
    bird: 12,
    dhcp: 16,
    bgp: 186,
    ospf: 188,
  };
  for (const [name, number] of Object.entries(usual)) {
    assertEquals(protocols.numberOf(name), number);
    assertEquals(protocols.nameOf(number), name);
  }
  assertEquals(tables.numberOf("bgp"), undefined);
  assertEquals(tables.files, []);
});

Deno.test("lines are decimal or hexadecimal numbers with a name; the rest is skipped", () => {
  const text = "#\n# reserved\n\n254\tmain\n 100   vpn # a comment\n0x65 other\nbroken\n12\n" +
    "1 two words\n300 toobig\n7 #none\n9 crlf\r\n";
  assertEquals(parseNames(text, 255), [["main", 254], ["vpn", 100], ["other", 101], ["crlf", 9]]);
});

Deno.test("files add to the built-in names and rename", () => {
  const { tables } = host({ "/etc/iproute2/rt_tables": "100 vpn\n254 principal\n" });
  assertEquals(tables.numberOf("vpn"), 100);
  assertEquals(tables.nameOf(254), "principal");
  assertEquals(tables.numberOf("main"), 254);
  assertEquals(tables.files, ["/etc/iproute2/rt_tables"]);
});

Deno.test("the first main file counts, drop-ins add, and one in /etc hides its namesake", () => {
  const { protocols } = host({
    "/usr/share/iproute2/rt_protos": "200 share\n",
    "/usr/lib/iproute2/rt_protos": "201 lib\n",
    "/usr/lib/iproute2/rt_protos.d/a.conf": "202 hidden\n",
    "/etc/iproute2/rt_protos.d/a.conf": "203 shown\n",
    "/etc/iproute2/rt_protos.d/README": "204 readme\n",
  });
  const known = ["share", "lib", "hidden", "shown", "readme"].map((n) => protocols.numberOf(n));
  assertEquals(known, [200, undefined, undefined, 203, undefined]);
  assertEquals(protocols.files, [
    "/usr/share/iproute2/rt_protos",
    "/etc/iproute2/rt_protos.d/a.conf",
  ]);
});

Deno.test("the names of this host can be read", () => {
  const { tables, protocols } = readIproute2Names();
  assertEquals(tables.numberOf("main"), 254);
  assert(protocols.names.includes("kernel"));
});
