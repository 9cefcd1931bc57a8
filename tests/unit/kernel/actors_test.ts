import { assertEquals } from "@std/assert";
import { Actors } from "../../../src/kernel/actors.ts";
import { kernelActor } from "../../../src/kernel/change.ts";
import type { ProcessFacts, ProcessTable } from "../../../src/kernel/process_table.ts";

/** A process of a made-up machine. */
interface Made {
  readonly command: string;
  readonly ageMs?: number;
  /** Inodes of its sockets. */
  readonly holds?: readonly number[];
  readonly capable?: boolean;
  /** It does not let us see its descriptors. */
  readonly hidden?: boolean;
}

/** A made-up machine that counts how often it is looked at. */
class Machine implements ProcessTable {
  looks = 0;
  searches = 0;
  time = 10_000;
  readonly processes = new Map<number, Made>();
  readonly ports = new Map<number, number>();
  readonly actors = new Actors(this, () => this.time);

  facts(pid: number): ProcessFacts | null {
    this.looks++;
    const { command, ageMs = 60_000 } = this.processes.get(pid) ?? {};
    return command === undefined ? null : { pid, command, unit: `${command}.service`, ageMs };
  }
  sockets(): Map<number, number> {
    return new Map(this.ports);
  }
  holds(pid: number, inode: number): boolean | null {
    if (this.processes.get(pid)?.hidden) return null;
    return this.processes.get(pid)?.holds?.includes(inode) ?? false;
  }
  couldChangeRoutes(pid: number): boolean {
    return this.processes.get(pid)?.capable ?? false;
  }
  async findHolders(inodes: ReadonlySet<number>): Promise<Map<number, number>> {
    this.searches++;
    await Promise.resolve();
    const found = new Map<number, number>();
    for (const [pid, { holds = [] }] of this.processes) {
      for (const inode of holds) if (inodes.has(inode)) found.set(inode, pid);
    }
    return found;
  }

  who(port: number): string {
    const { port: told, pid, command, unit, certain } = this.actors.of(port);
    assertEquals(told, port);
    if (pid === null) {
      assertEquals([command, unit, certain], [null, null, false]);
      return "unknown";
    }
    assertEquals(unit, `${command}.service`);
    return `${certain ? "" : "probably "}${command} (pid ${pid})`;
  }
}

Deno.test("port 0 is the kernel itself", () => {
  const machine = new Machine();
  machine.processes.set(0, { command: "nobody", capable: true });
  assertEquals(machine.actors.of(0), kernelActor);
  assertEquals(machine.looks, 0);
});

Deno.test("a process that holds the socket is certain, also under a port id of libnl's", () => {
  const machine = new Machine();
  machine.processes.set(812, { command: "networkd", holds: [5, 6] });
  machine.ports.set(812, 5).set(812 + 3 * 2 ** 22, 6);
  assertEquals(machine.who(812), "networkd (pid 812)");
  assertEquals(machine.who(812 + 3 * 2 ** 22), "networkd (pid 812)");
});

Deno.test("of a closed socket the process of that id is probable if it could have done it", () => {
  const machine = new Machine();
  machine.processes.set(4711, { command: "ip", capable: true });
  machine.processes.set(17, { command: "sshd", capable: false });
  assertEquals(machine.who(4711), "probably ip (pid 4711)");
  assertEquals(machine.who(17), "unknown");
  assertEquals(machine.who(18), "unknown");
});

Deno.test("where we may not look, the process of that id is probable", async () => {
  const machine = new Machine();
  machine.processes.set(812, { command: "networkd", hidden: true, capable: true });
  machine.processes.set(900, { command: "nobody", hidden: true });
  machine.ports.set(812, 5).set(900, 6);
  await machine.actors.acquaint();
  assertEquals(machine.searches, 0);
  assertEquals(machine.who(812), "probably networkd (pid 812)");
  assertEquals(machine.who(900), "unknown");
});

Deno.test("an id that the kernel drew says nothing about a process", () => {
  const machine = new Machine();
  const port = 2 ** 32 - 2 ** 22 + 812;
  machine.processes.set(812, { command: "innocent", capable: true });
  assertEquals(machine.who(port), "unknown");
  assertEquals(machine.looks > 0, true);
});

Deno.test("a socket that somebody else holds is nobody's until its holder is found", async () => {
  const machine = new Machine();
  machine.processes.set(17, { command: "innocent", capable: true, holds: [1, 2] });
  machine.processes.set(9000, { command: "agent", holds: [44] });
  machine.ports.set(17, 44);
  assertEquals(machine.who(17), "unknown");
  await machine.actors.acquaint();
  await Promise.resolve();
  assertEquals(machine.who(17), "agent (pid 9000)");
  // The socket goes and comes back as another's: what was found does not outlive it.
  machine.time += 2000;
  machine.ports.set(17, 45);
  assertEquals(machine.who(17), "unknown");
});

Deno.test("those who were there when we came are known from their first change on", async () => {
  const machine = new Machine();
  machine.processes.set(812, { command: "zebra", holds: [5, 6, 7] });
  machine.ports.set(812, 5).set(3_000_000_000, 6).set(3_000_000_001, 7);
  await machine.actors.acquaint();
  assertEquals(machine.searches, 1);
  assertEquals(machine.who(3_000_000_000), "zebra (pid 812)");
  assertEquals(machine.who(3_000_000_001), "zebra (pid 812)");
});

Deno.test("100,000 changes by one process mean one look at it a second", () => {
  const machine = new Machine();
  machine.processes.set(812, { command: "networkd", holds: [5] });
  machine.ports.set(812, 5);
  for (let i = 0; i < 100_000; i++) {
    machine.time += 0.02;
    machine.actors.caughtUp();
    machine.actors.of(812);
  }
  assertEquals(machine.looks, 2);
});

Deno.test("a port id that another process has a second later is that process's", () => {
  const machine = new Machine();
  machine.processes.set(812, { command: "first", holds: [5] });
  machine.ports.set(812, 5);
  assertEquals(machine.who(812), "first (pid 812)");
  machine.processes.set(812, { command: "second", holds: [6], ageMs: 10 });
  machine.ports.set(812, 6);
  machine.time += 1000;
  machine.actors.caughtUp();
  assertEquals(machine.who(812), "second (pid 812)");
});

Deno.test("a notification that waited long is not laid at the door of a process that started meanwhile", () => {
  const machine = new Machine();
  machine.processes.set(812, { command: "young", holds: [5], ageMs: 3_000 });
  machine.processes.set(813, { command: "old", holds: [6], ageMs: 9_000 });
  machine.processes.set(814, { command: "shy", capable: true, ageMs: 3_000 });
  machine.processes.set(815, { command: "aged", capable: true, ageMs: 9_000 });
  machine.ports.set(812, 5).set(813, 6);
  machine.time += 5_000; // Nobody read for five seconds.
  assertEquals(machine.who(812), "probably young (pid 812)");
  assertEquals(machine.who(813), "old (pid 813)");
  assertEquals(machine.who(814), "unknown");
  assertEquals(machine.who(815), "probably aged (pid 815)");
});

Deno.test("many short-lived processes leave nothing behind", () => {
  const machine = new Machine();
  for (let pid = 1; pid <= 100_000; pid++) machine.actors.of(pid);
  assertEquals(machine.looks, 100_000);
  machine.actors.of(100_000);
  assertEquals(machine.looks, 100_000);
  machine.actors.of(1);
  assertEquals(machine.looks, 100_001);
});
