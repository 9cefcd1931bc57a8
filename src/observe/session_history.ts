import {
  asEvent,
  type Event,
  type EventDetails,
  type EventRecord,
  type EventSession,
} from "./event.ts";

/** Events shown of each session. */
export const SESSION_HISTORY = 32;
/** Events kept of all sessions together (a power of two). */
const MOST = 32_768;
/** Different things that can have happened, each kept once; stalls of this host make some of them unique. */
const SHAPES = 1_024;

type Shape = Pick<EventRecord, "kind"> & Pick<EventDetails, "from" | "to" | "reason" | "message">;

/**
 * What happened to each session, for those who ask about one. Tens of thousands of sessions have a past and
 * few are ever asked for, so an event is a row of numbers in a ring that all share; each row leads to
 * the session's row before it. What others have written over ends the chain.
 */
export class SessionHistory {
  /** The newest row of each session, by the object that names it in its events. Rows count from 0. */
  readonly #newest = new Map<EventSession, number>();
  readonly #shapes: Shape[] = [];
  readonly #shapeNumbers = new Map<string, number>();
  #rows = 0;
  #seq = new Float64Array(64);
  #at = new Float64Array(64);
  /** NaN: it took no time that anybody measured. */
  #afterUs = new Float64Array(64);
  /** How many rows back the session's row before it is; 0: there is none, or it is written over. */
  #back = new Uint16Array(64);
  #shape = new Uint16Array(64);

  /** Takes an event about a session in; nothing else may be given. */
  add(record: EventRecord, session: EventSession): void {
    if (record.kind === "session_removed") return void this.#newest.delete(session);
    if (this.#rows === this.#seq.length && this.#rows < MOST) this.#grow();
    const row = this.#rows++;
    const place = row & (this.#seq.length - 1);
    this.#seq[place] = record.seq;
    this.#at[place] = record.at;
    this.#afterUs[place] = record.details.after_us ?? NaN;
    const back = row - (this.#newest.get(session) ?? row);
    this.#back[place] = back < MOST ? back : 0;
    this.#shape[place] = this.#numberOf(record);
    this.#newest.set(session, row);
  }

  /** The last events of a session, oldest first; none for a session that is not there. */
  of({ dev, src, peer }: EventSession): Event[] {
    const session = this.#newest.keys().find((each) =>
      each.peer === peer && each.dev === dev && each.src === src
    );
    if (session === undefined) return [];
    const events: Event[] = [];
    const oldest = this.#rows - this.#seq.length;
    for (let row = this.#newest.get(session)!; row >= oldest;) {
      const place = row & (this.#seq.length - 1);
      events.push(this.#event(place, session));
      const back = this.#back[place]!;
      if (back === 0 || events.length === SESSION_HISTORY) break;
      row -= back;
    }
    return events.reverse();
  }

  #event(place: number, session: EventSession): Event {
    const { kind, ...words } = this.#shapes[this.#shape[place]!]!;
    const after = this.#afterUs[place]!;
    const details = { session, ...words, ...(Number.isNaN(after) ? {} : { after_us: after }) };
    return asEvent({ seq: this.#seq[place]!, at: this.#at[place]!, kind, details });
  }

  #numberOf({ kind, details: { from, to, reason, message } }: EventRecord): number {
    const full = this.#shapes.length >= SHAPES;
    const key = `${kind} ${from} ${to} ${reason} ${full ? "" : message ?? ""}`;
    let number = this.#shapeNumbers.get(key);
    if (number === undefined) {
      number = this.#shapes.length;
      this.#shapeNumbers.set(key, number);
      const shape = { kind, from, to, reason, message: full ? undefined : message };
      // As in the event: what was not said is not there.
      const said = Object.entries(shape).filter(([, value]) => value !== undefined);
      this.#shapes.push(Object.fromEntries(said) as unknown as Shape);
    }
    return number;
  }

  #grow(): void {
    const size = 2 * this.#seq.length;
    const grown = <T extends Float64Array | Uint16Array>(into: T, from: T): T => {
      into.set(from);
      return into;
    };
    this.#seq = grown(new Float64Array(size), this.#seq);
    this.#at = grown(new Float64Array(size), this.#at);
    this.#afterUs = grown(new Float64Array(size), this.#afterUs);
    this.#back = grown(new Uint16Array(size), this.#back);
    this.#shape = grown(new Uint16Array(size), this.#shape);
  }
}
