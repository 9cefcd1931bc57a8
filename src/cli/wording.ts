import type { RouteSnapshot, SessionSnapshot } from "../manager/snapshot.ts";

/** A time span as people say it: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function spanWords(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = Math.floor(ms / 1_000);
  if (s < 60) return `${s} s`;
  const [large, small] = s < 3_600
    ? [`${Math.floor(s / 60)} min`, s % 60 && `${s % 60} s`]
    : s < 86_400
    ? [`${Math.floor(s / 3_600)} h`, Math.floor(s / 60) % 60 && `${Math.floor(s / 60) % 60} min`]
    : [
      `${Math.floor(s / 86_400)} d`,
      Math.floor(s / 3_600) % 24 && `${Math.floor(s / 3_600) % 24} h`,
    ];
  return small ? `${large} ${small}` : large;
}

/** How long ago an RFC 3339 time is. */
export function age(time: string, now: number): string {
  const at = Date.parse(time);
  return Number.isNaN(at) ? "?" : spanWords(now - at);
}

/** Microseconds in the unit that reads best. */
export function microseconds(us: number): string {
  if (us < 1_000) return `${us} us`;
  return us < 1_000_000
    ? `${Number((us / 1_000).toPrecision(3))} ms`
    : `${Number((us / 1e6).toFixed(2))} s`;
}

/** The protocol's down reasons, for people. */
const REASONS: Readonly<Record<string, string>> = {
  never_up: "nothing heard yet",
  timeout: "timeout",
  remote_down: "the peer says down",
  remote_admin: "taken down by the peer",
  local_admin: "taken down here",
};

/** A session's down reason, for people. */
function reasonWords(reason: string): string {
  return REASONS[reason] ?? reason.replace(/^endpoint: /, "");
}

/** Why a session is not up, and whether it ever was; empty while it is up. */
export function whySession(session: SessionSnapshot, now: number): string {
  const { state, reason } = session;
  const sending = session.send_error === null ? "" : `; sending fails: ${session.send_error}`;
  if (state === "up") {
    return session.send_error === null ? "" : `sending fails: ${session.send_error}`;
  }
  if (state === "admin_down") return "taken down here";
  if (state === "init") return `the peer is heard, but does not hear us yet${sending}`;
  const why = reason === null ? "unknown" : reasonWords(reason);
  if (!session.was_up) return `never up: ${why}${sending}`;
  // An administrator's up leaves no reason behind: it starts over.
  if (reason === "never_up") return `was up, starts over${sending}`;
  return `was up, failed ${age(session.since, now)} ago: ${why}${sending}`;
}

/** Why a route is not in the kernel, or what is to say of one that is. */
export function whyRoute(route: RouteSnapshot): string {
  const { reason } = route;
  if (reason === null) return "";
  const session = /^session: (.*)$/s.exec(reason)?.[1];
  return session === undefined ? reason : `session down: ${reasonWords(session)}`;
}

/** What the kernel has of a route, in one word or two. */
export function routeState(route: RouteSnapshot): string {
  if (route.excluded) return "excluded";
  if (route.installed) return "installed";
  return route.desired ? "missing" : "withdrawn";
}
