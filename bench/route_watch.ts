/** What happens to the kernel's routes, as its own monitor tells, with the time of day. */
import { ROUTE_PROTOCOL } from "./contestants.ts";
import type { Lab } from "./lab.ts";

/** Something that happened to a route of the contestant's. */
export interface RouteChange {
  /** Wall clock, µs. */
  readonly at: number;
  readonly gone: boolean;
  readonly dst: string;
}

/** Room for the notifications of all routes at once. */
const BUFFER_BYTES = 64 * 1024 * 1024;

/** Collects changes from now on. Throws when the monitor ends. */
export class RouteWatch {
  readonly changes: RouteChange[] = [];

  private constructor() {}

  static start(lab: Lab): RouteWatch {
    const watch = new RouteWatch();
    let at = 0;
    const argv = ["ip", "-ts", "-rcvbuf", String(BUFFER_BYTES), "monitor", "route"];
    lab.startObserver("ip monitor", argv, (line) => {
      const [, stamp, rest = line] = /^\[([^\]]+)\]\s*(.*)$/.exec(line) ?? [];
      if (stamp !== undefined) at = microseconds(stamp);
      const [, deleted, dst] = /^(Deleted )?(10\.1\.\d+\.\d+) via /.exec(rest) ?? [];
      if (dst === undefined || !rest.includes(` proto ${ROUTE_PROTOCOL}`)) return;
      if (rest.includes(" table ")) return; // probe routes
      watch.changes.push({ at, gone: deleted !== undefined, dst });
    });
    return watch;
  }
}

/** `2026-01-31T12:00:00.123456`, UTC, as µs since the epoch. */
function microseconds(stamp: string): number {
  const [, whole = "", fraction = ""] = /^(.*)\.(\d{6})$/.exec(stamp) ?? [];
  return Date.parse(`${whole}Z`) * 1000 + Number(fraction);
}
