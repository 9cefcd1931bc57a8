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
 * few are ever asked for, so an event is a row of numbers in a ring that all share, and whoever asks for
 * a session's past has all rows looked at: 0.2 ms at most.
 */
export class SessionHistory {
  readonly #shapes: Shape[] = [];
  readonly #shapeNumbers = new Map<string, number>();
  /** Rows written so far. */
  #rows = 0;
  /** What names the session in its events. */
  #session = new Array<EventSession>(64);
  #seq = new Float64Array(64);
  #at = new Float64Array(64);
  /** NaN: it took no time that anybody measured. */
  #afterUs = new Float64Array(64);
  #shape = new Uint16Array(64);

  /** Takes an event about a session in; nothing else may be given. */
  add(record: EventRecord, session: EventSession): void {
    if (this.#rows === this.#seq.length && this.#rows < MOST) this.#grow();
    const place = this.#rows++ & (this.#seq.length - 1);
    this.#session[place] = session;
    this.#seq[place] = record.seq;
    this.#at[place] = record.at;
    this.#afterUs[place] = record.details.after_us ?? NaN;
    this.#shape[place] = this.#numberOf(record);
  }

  /** The last events of a session, oldest first; none for a session that is not there. */
  of({ dev, src, peer }: EventSession): Event[] {
    const events: Event[] = [];
    const oldest = Math.max(0, this.#rows - this.#seq.length);
    for (let row = this.#rows - 1; row >= oldest && events.length < SESSION_HISTORY; row--) {
      const place = row & (this.#seq.length - 1);
      const session = this.#session[place]!;
      if (session.peer !== peer || session.dev !== dev || session.src !== src) continue;
      const event = this.#event(place, session);
      // What came before happened to another session of the same name.
      if (event.kind === "session_removed") break;
      events.push(event);
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
    this.#session.length = size;
    const grown = <T extends Float64Array | Uint16Array>(into: T, from: T): T => {
      into.set(from);
      return into;
    };
    this.#seq = grown(new Float64Array(size), this.#seq);
    this.#at = grown(new Float64Array(size), this.#at);
    this.#afterUs = grown(new Float64Array(size), this.#afterUs);
    this.#shape = grown(new Uint16Array(size), this.#shape);
  }
}
