/**
 * Who owns a netlink socket, by its port id.
 *
 * A port id is the process id for most programs' first socket; libnl adds high bits, and further sockets
 * get random ids. So it is a hint and no proof. The proof is the socket itself: /proc/net/netlink tells
 * its inode, and /proc/PID/fd whether the process holds it. When the socket is closed already, as a
 * short-lived `ip`'s is, or we may not look (CAP_SYS_PTRACE is missing), the hint must do, and the answer
 * says that it is not certain. What neither
 * proves nor is probable is unknown: nobody is blamed by a guess.
 */

import { type Actor, kernelActor } from "./change.ts";
import type { ProcessFacts, ProcessTable } from "./process_table.ts";

/** libnl's port ids: the process id, and the socket's number in the process above it. */
const PID_BITS = 22;
/** Ids from here on are those that the kernel draws when the process id is taken. */
const DRAWN = 2 ** 31;

/** How long an answer is given again without a look at /proc, in ms: many changes come in bursts. */
const FRESH_MS = 1000;

/**
 * For how long a notification may wait, in ms, before its maker's process id may have been given to
 * another process meanwhile.
 */
const REUSE_MS = 1000;

/** Answers that are kept; beyond, the old ones go. */
const KEPT = 1024;

interface Known {
  readonly actor: Actor;
  readonly until: number;
}

/** Answers who made a change, at once and without reading /proc for each of many. */
export class Actors {
  readonly #known = new Map<number, Known>();
  /** Holders of sockets whose port ids say nothing, found by a search, by inode. */
  readonly #holders = new Map<number, number>();
  /** Inodes of sockets whose holders are to be searched for. */
  #wanted = new Set<number>();
  #search: Promise<void> | null = null;
  #caughtUp: number;

  /** @param now a monotonic clock, ms */
  constructor(readonly processes: ProcessTable, readonly now: () => number) {
    this.#caughtUp = now();
  }

  /** No notification waits: later ones are of changes made from now on. */
  caughtUp(): void {
    this.#caughtUp = this.now();
  }

  /**
   * The owner of a port id. A socket that only a search through all processes can find is unknown at
   * first; the search runs meanwhile, and a later change finds its maker named.
   */
  of(port: number): Actor {
    if (port === 0) return kernelActor;
    const now = this.now();
    const known = this.#known.get(port);
    if (known !== undefined && now < known.until) return known.actor;
    const actor = this.#find(port, now);
    if (this.#known.size >= KEPT) this.#known.clear();
    this.#known.set(port, { actor, until: now + FRESH_MS });
    return actor;
  }

  /**
   * Gets to know the owners of the sockets that are there, so that they can be named at once later.
   * Settles when they are known.
   */
  acquaint(): Promise<void> {
    for (const [port, inode] of this.processes.sockets()) {
      if (this.processes.holds(port % 2 ** PID_BITS, inode) === false) this.#wanted.add(inode);
    }
    return this.#searchForWanted();
  }

  #find(port: number, now: number): Actor {
    // What a process that is about to end says of itself comes first.
    const hint = this.processes.facts(port % 2 ** PID_BITS);
    const inode = this.processes.sockets().get(port);
    if (inode === undefined) return this.#probable(port, hint, now);
    const held = hint !== null && this.processes.holds(hint.pid, inode);
    if (hint !== null && held) return named(port, hint, this.#wasThere(hint, now));
    if (held === null) return this.#probable(port, hint, now);
    const holder = this.#holders.get(inode);
    if (holder !== undefined && this.processes.holds(holder, inode)) {
      const facts = this.processes.facts(holder);
      if (facts !== null) return named(port, facts, this.#wasThere(facts, now));
    }
    this.#holders.delete(inode);
    this.#wanted.add(inode);
    this.#searchForWanted().then(() => this.#known.delete(port));
    return unknown(port);
  }

  /** Of a socket that is closed, or whose holder cannot be seen: its maker, if the hint can be right. */
  #probable(port: number, hint: ProcessFacts | null, now: number): Actor {
    const can = hint !== null && port < DRAWN && this.#wasThere(hint, now) &&
      this.processes.couldChangeRoutes(hint.pid);
    return can ? named(port, hint, false) : unknown(port);
  }

  /** Whether the process was there when the change was made, so that it cannot have a dead one's id. */
  #wasThere(facts: ProcessFacts, now: number): boolean {
    const waited = now - this.#caughtUp;
    return waited < REUSE_MS || facts.ageMs > waited;
  }

  #searchForWanted(): Promise<void> {
    return this.#search ??= this.#searchForAll().finally(() => this.#search = null);
  }

  async #searchForAll(): Promise<void> {
    while (this.#wanted.size > 0) {
      const wanted = this.#wanted;
      this.#wanted = new Set();
      if (this.#holders.size >= KEPT) this.#holders.clear();
      for (const [inode, pid] of await this.processes.findHolders(wanted)) {
        this.#holders.set(inode, pid);
      }
    }
  }
}

function unknown(port: number): Actor {
  return { port, pid: null, command: null, unit: null, certain: false };
}

function named(port: number, { pid, command, unit }: ProcessFacts, certain: boolean): Actor {
  return { port, pid, command, unit, certain };
}
