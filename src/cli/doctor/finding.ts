/** What a check found. */

/** `fail`: it breaks livenessd. `warn`: it may, or could not be determined. */
export type Level = "ok" | "warn" | "fail";

export interface Finding {
  /** Names the check and, after a colon, what it looked at: `rp_filter:tun0`. Stable. */
  readonly id: string;
  readonly level: Level;
  /** What is the case, one sentence without its end. */
  readonly what: string;
  /** Why it matters; "" when all is well and there is nothing to say. */
  readonly why: string;
  /** A command that changes it; `null` when there is none to give. Never run by us. */
  readonly remedy: string | null;
}

/** All is well. */
export function fine(id: string, what: string, why = ""): Finding {
  return { id, level: "ok", what, why, remedy: null };
}

/** It may break something. */
export function warning(
  id: string,
  what: string,
  why: string,
  remedy: string | null = null,
): Finding {
  return { id, level: "warn", what, why, remedy };
}

/** It breaks something. */
export function failure(
  id: string,
  what: string,
  why: string,
  remedy: string | null = null,
): Finding {
  return { id, level: "fail", what, why, remedy };
}

/** A fact that could not be had. */
export interface Unknown {
  readonly ok: false;
  /** Why not, as the end of a sentence. */
  readonly reason: string;
  /** A command that makes it known; `null` when there is none. */
  readonly remedy: string | null;
}

/** A fact, or why it could not be had. */
export type Answer<T> = { readonly ok: true; readonly value: T } | Unknown;

/** A check without the facts that it needs says so. */
export function undetermined(id: string, subject: string, { reason, remedy }: Unknown): Finding {
  return warning(id, `${subject} could not be determined`, reason, remedy);
}

/** The problems; when there are none, that all is well. */
export function orFine(problems: readonly Finding[], id: string, what: string): Finding[] {
  return problems.length > 0 ? [...problems] : [fine(id, what)];
}

/** Names in a sentence, the first few of many. */
export function listed(names: readonly string[], most = 6): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}
