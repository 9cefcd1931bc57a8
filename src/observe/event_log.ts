import type { Event, EventDetails, EventKind, EventRecord, EventSession } from "./event.ts";
import { Follower } from "./follower.ts";
import { Ring } from "./ring.ts";
import { SessionHistory } from "./session_history.ts";

/** Events kept. */
const HISTORY = 1_000;
/** Events that a follower may lag behind before it loses the oldest. */
const FOLLOWER_BACKLOG = 4_096;
/** Followers at one time. */
const FOLLOWERS = 64;

/** What an event log needs from outside. */
export interface EventLogOptions {
  /** Wall clock, milliseconds since the epoch. */
  readonly wall: () => number;
  /** Takes each event for the log. Must not throw. */
  readonly write: (record: EventRecord) => void;
}

/**
 * Numbers and dates what happens, hands it to the log, keeps the recent past and lets readers follow.
 * All of it is bounded: memory does not grow with events, with sessions, nor with readers that do not
 * read. Thousands of sessions may fail within one turn of the loop: an event costs one small object.
 */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #recent = new Ring<EventRecord>(HISTORY);
  readonly #sessions = new SessionHistory();
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
    const record: EventRecord = { seq: ++this.#seq, at: this.#options.wall(), kind, details };
    this.#recent.push(record);
    if (kind.startsWith("session_")) this.#sessions.add(record, details.session!);
    for (const follower of this.#followers) follower.push(record);
    this.#options.write(record);
  };

  /** The kept events with a sequence number above `since`, oldest first. */
  history(since = 0): EventRecord[] {
    return this.#recent.toArray().filter((record) => record.seq > since);
  }

  /** The last 32 events of one session, oldest first. */
  sessionHistory(session: EventSession): Event[] {
    return this.#sessions.of(session);
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
    for (const record of kept) follower.push(record);
    this.#followers.add(follower);
    return follower;
  }

  /** Ends every follower. */
  close(): void {
    for (const follower of [...this.#followers]) follower.close();
  }
}
