/** The sessions whose packets wait for the end of the turn. */

/** Packets that leave sooner than this after their turn began are on time. */
const ON_TIME_US = 2_000;

/** A session that wants to know when its packet left. */
interface Departing {
  leftLate(us: number): void;
}

export class Departures {
  // Filled anew in each turn without giving its room back: an array that is emptied grows anew, which
  // came to 23 bytes for each packet. What was written last stays until it is written over: as many
  // sessions as once sent in one turn, at most.
  readonly #waiting: Departing[] = [];
  #count = 0;

  add(session: Departing): void {
    this.#waiting[this.#count++] = session;
  }

  /**
   * All packets left this much after the time that they were written for. One that left late, after a
   * pause within the turn, would shorten the distance to the next one.
   */
  left(afterUs: number): void {
    if (afterUs > ON_TIME_US) {
      for (let i = 0; i < this.#count; i++) this.#waiting[i]!.leftLate(afterUs);
    }
    this.#count = 0;
  }
}
