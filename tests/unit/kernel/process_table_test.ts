import { assert, assertEquals } from "@std/assert";
import { ProcFs, unitOf } from "../../../src/kernel/process_table.ts";

/** A directory that looks like /proc as far as its files say. */
class FakeProc implements Disposable {
  readonly root = Deno.makeTempDirSync();
  readonly table = new ProcFs(this.root);

  constructor(files: Record<string, string>, links: Record<string, string> = {}) {
    const place = (path: string) => {
      const full = `${this.root}/${path}`;
      Deno.mkdirSync(full.slice(0, full.lastIndexOf("/")), { recursive: true });
      return full;
    };
    for (const [path, text] of Object.entries(files)) Deno.writeTextFileSync(place(path), text);
    for (const [path, target] of Object.entries(links)) Deno.symlinkSync(target, place(path));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

function stat(command: string, flags = 0x400000, startedAt = 5_000): string {
  const before = Array(5).fill(0).join(" ");
  const between = Array(12).fill(0).join(" ");
  return `812 (${command}) S ${before} ${flags} ${between} ${startedAt} 0 0\n`;
}

Deno.test("a process's command, unit and age are read, whatever it calls itself", () => {
  const cgroup = "0::/system.slice/systemd-networkd.service\n";
  for (const command of ["systemd-network", "a b", ") S 1 (", "(sd-pam)", ""]) {
    using proc = new FakeProc({
      "812/stat": stat(command),
      "812/cgroup": cgroup,
      "uptime": "60.25 100.00\n",
    });
    const unit = "systemd-networkd.service";
    assertEquals(proc.table.facts(812), { pid: 812, command, unit, ageMs: 10_250 });
    assertEquals(proc.table.facts(813), null);
  }
});

Deno.test("a command with control characters cannot forge a log line", () => {
  using proc = new FakeProc({ "812/stat": stat("x\n\x1b[2J\x9b"), "uptime": "60 1" });
  assertEquals(proc.table.facts(812)?.command, "x??[2J?");
  assertEquals(proc.table.facts(812)?.unit, null);
});

Deno.test("threads of the kernel and garbage are no process", () => {
  for (const text of [stat("kworker/0:0H", 0x4208060 | 0x200000), "", "812", "812 (", ") ("]) {
    using proc = new FakeProc({ "812/stat": text, "uptime": "60 1" });
    assertEquals(proc.table.facts(812), null, text);
  }
});

Deno.test("the unit is the deepest service or scope, else the control group's path", () => {
  const cases: [string, string | null][] = [
    ["0::/system.slice/NetworkManager.service\n", "NetworkManager.service"],
    ["0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service", "a.service"],
    ["0::/system.slice/a.service/inner", "a.service"],
    ["0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope"],
    ["5:memory:/m\n1:name=systemd:/system.slice/b.service\n0::/\n", "b.service"],
    ["0::/docker/0123\n", "/docker/0123"],
    ["4:memory:/jobs/7\n0::/\n", "/jobs/7"],
    ["2:cpu:/c\n0::/kubepods/pod1\n", "/kubepods/pod1"],
    ["0::/x\x1b.service", "x?.service"],
    ["0::/.service", "/.service"],
    ["0::/\n", null],
    ["", null],
    ["garbage", null],
  ];
  for (const [text, unit] of cases) assertEquals(unitOf(text), unit, text);
});

Deno.test("rtnetlink sockets are told from others and from the kernel's own", () => {
  const netlink = [
    "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode",
    "0000000007cea4e6 0   0          00000000 0        0        0     2        0        4       ",
    "0000000007cea4e7 0   812        00000011 0        0        0     2        0        9001    ",
    "0000000007cea4e8 0   4294963200 00000000 0        0        0     2        0        9002    ",
    "0000000007cea4e9 15  813        00000000 0        0        0     2        0        9003    ",
    "",
  ].join("\n");
  using proc = new FakeProc({ "self/net/netlink": netlink });
  assertEquals([...proc.table.sockets()], [[812, 9001], [4294963200, 9002]]);
  using empty = new FakeProc({});
  assertEquals(empty.table.sockets().size, 0);
});

Deno.test("holders of sockets are found by their descriptors", async () => {
  using proc = new FakeProc({ "uptime": "" }, {
    "1/fd/0": "/dev/null",
    "812/fd/0": "/dev/null",
    "812/fd/7": "socket:[9001]",
    "812/fd/8": "socket:[90011]",
    "900/fd/3": "socket:[9002]",
    "901/fd/3": "socket:[9002]",
  });
  assert(proc.table.holds(812, 9001));
  assert(!proc.table.holds(812, 9002));
  assert(!proc.table.holds(7, 9001));
  const holders = await proc.table.findHolders(new Set([9001, 9002, 9003]));
  assertEquals(holders.get(9001), 812);
  assert([900, 901].includes(holders.get(9002)!));
  assertEquals(holders.size, 2);
});

Deno.test("only a process with the capability, in our namespaces, could have changed our routes", () => {
  const status = (capabilities: string, ids: string) =>
    `Name:\tx\nNSpid:\t${ids}\nCapEff:\t${capabilities}\n`;
  const all = "000001ffffffffff";
  using proc = new FakeProc({
    "1/status": status(all, "1"),
    "2/status": status("0000000000001000", "2"),
    "3/status": status("000001ffffffefff", "3"),
    "4/status": status(all, "4\t17"),
    "5/status": status(all, "5"),
    "6/status": status(all, "6"),
    "7/status": "Name:\tx\n",
  }, {
    "self/ns/net": "net:[1]",
    "1/ns/net": "net:[1]",
    "2/ns/net": "net:[1]",
    "3/ns/net": "net:[1]",
    "4/ns/net": "net:[1]",
    "5/ns/net": "net:[2]",
  });
  const could = [1, 2, 3, 4, 5, 6, 7, 8].filter((pid) => proc.table.couldChangeRoutes(pid));
  assertEquals(could, [1, 2, 6]);
});
