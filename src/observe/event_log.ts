import type { Event, EventDetails, EventKind, EventSession } from "./event.ts";
import { Follower } from "./follower.ts";
import { Ring } from "./ring.ts";

/** Events kept of all. */
const HISTORY = 1_000;
/** Events kept of each session. */
const SESSION_HISTORY = 32;
/** Session events kept together: bounds memory when tens of thousands of sessions flap. */
const SESSION_TOTAL = 65_536;
/** Events that a follower may lag behind before it loses the oldest. */
const FOLLOWER_BACKLOG = 4_096;
/** Followers at one time. */
const FOLLOWERS = 64;

/** What an event log needs from outside. */
export interface EventLogOptions {
  /** Wall clock, milliseconds since the epoch. */
  readonly wall: () => number;
  /** Takes each event for the log. Must not throw. */
  readonly write: (event: Event) => void;
}

/**
 * Numbers and dates what happens, hands it to the log, keeps the recent past and lets readers follow.
 * All of it is bounded: memory does not grow with events, with sessions that come and go, nor with
 * readers that do not read.
 */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #recent = new Ring<Event>(HISTORY);
  readonly #sessionEvents = new Ring<Event>(SESSION_TOTAL);
  readonly #bySession = new Map<string, Event[]>();
  readonly #followers = new Set<Follower>();
  #seq = 0;

  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  /** Sequence number of the newest event; 0 before the first. */
  get lastSeq(): number {
    return this.#seq;
  }

  /** Records one thing that happened. Bound, so that it can be handed on as a `Report`. */
  readonly report = (kind: EventKind, details: EventDetails): void => {
    const time = new Date(this.#options.wall()).toISOString();
    const event: Event = { seq: ++this.#seq, time, kind, ...details };
    this.#recent.push(event);
    if (event.session !== undefined) this.#keepForSession(event, event.session);
    for (const follower of this.#followers) follower.push(event);
    this.#options.write(event);
  };

  /** The kept events with a sequence number above `since`, oldest first. */
  history(since = 0): Event[] {
    return this.#recent.toArray().filter((event) => event.seq > since);
  }

  /** The kept events of one session, oldest first. */
  sessionHistory(session: EventSession): readonly Event[] {
    return this.#bySession.get(sessionKey(session))?.slice() ?? [];
  }

  /**
   * Follows the log from after `since`: what is kept of it first, then each event as it happens. End
   * it with `close`, or by leaving a `for await` loop. `null` when too many follow already.
   */
  follow(since: number = this.#seq): Follower | null {
    if (this.#followers.size >= FOLLOWERS) return null;
    const follower = new Follower(FOLLOWER_BACKLOG, (gone) => this.#followers.delete(gone));
    const kept = this.history(since);
    const oldest = kept[0]?.seq ?? this.#seq + 1;
    // A `since` from another run of the daemon may lie ahead of us; nothing was lost then.
    follower.lose(Math.max(0, oldest - 1 - since));
    for (const event of kept) follower.push(event);
    this.#followers.add(follower);
    return follower;
  }

  /** Ends every follower. */
  close(): void {
    for (const follower of [...this.#followers]) follower.close();
  }

  #keepForSession(event: Event, session: EventSession): void {
    const key = sessionKey(session);
    let events = this.#bySession.get(key);
    if (events === undefined) this.#bySession.set(key, events = []);
    events.push(event);
    if (events.length > SESSION_HISTORY) events.shift();
    const evicted = this.#sessionEvents.push(event);
    if (evicted?.session !== undefined) this.#forget(evicted, evicted.session);
  }

  #forget(evicted: Event, session: EventSession): void {
    const key = sessionKey(session);
    const events = this.#bySession.get(key);
    if (events === undefined || events[0]!.seq !== evicted.seq) return;
    events.shift();
    if (events.length === 0) this.#bySession.delete(key);
  }
}

function sessionKey(session: EventSession): string {
  return `${session.dev} ${session.src} ${session.peer}`;
}
