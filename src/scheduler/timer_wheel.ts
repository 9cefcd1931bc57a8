/**
 * A hashed timing wheel: arming, moving and cancelling a timer are O(1) and allocate nothing.
 *
 * Time is cut into slots of one millisecond; a timer lies in the list of the slot that its deadline falls
 * into, modulo the wheel's span. A timer further away than the span stays in its slot and is passed over
 * once a turn of the wheel, which costs next to nothing at spans of seconds. Deadlines keep their full
 * resolution: a timer never fires early, and at most one slot late by the wheel's own doing.
 */

/** A timer's handle. Small integers, reused after {@linkcode TimerWheel.remove}. */
export type TimerId = number;

/** Whoever owns a timer is told when it is due. By then the timer is idle and may be armed again. */
export interface TimerOwner {
  due(timer: TimerId, now: number): void;
  /** The timer is due soon, and everybody is awake now: what may be done early can be. */
  dueSoon?(timer: TimerId, now: number): void;
}

const SLOT_US = 1_000;
const SLOTS = 4_096;
const SLOT_MASK = SLOTS - 1;
const NONE = -1;
/** How many timers are offered early in one go. */
const OFFERS = 8;

/** Where a timer is: idle, collected as due but not yet delivered, or the number of its slot. */
const IDLE = -1;
const DUE = -2;

export class TimerWheel {
  /** The present, µs: what {@linkcode armIn} counts from. Whoever drives the wheel keeps it. */
  now: number;
  #owners: (TimerOwner | null)[] = [];
  #free: TimerId[] = [];
  #deadlines = new Float64Array(64);
  #places = new Int32Array(64).fill(IDLE);
  #next = new Int32Array(64);
  #previous = new Int32Array(64);

  readonly #heads = new Int32Array(SLOTS).fill(NONE);
  /** One bit a slot: whether its list has members. Finding the next deadline skips empty slots by 32. */
  readonly #occupied = new Uint32Array(SLOTS / 32);
  /** The first slot number (not masked) that may hold due timers. */
  #cursor: number;
  #due = new Int32Array(64);
  #armed = 0;

  constructor(now: number) {
    this.now = now;
    this.#cursor = slotOf(now);
  }

  /** How many timers are armed. */
  get armed(): number {
    return this.#armed;
  }

  /** Makes an idle timer for `owner`. */
  add(owner: TimerOwner): TimerId {
    const id = this.#free.pop() ?? this.#owners.length;
    if (id >= this.#deadlines.length) this.#grow();
    this.#owners[id] = owner;
    return id;
  }

  /** Ends a timer; its id may be handed out again. */
  remove(id: TimerId): void {
    this.cancel(id);
    this.#owners[id] = null;
    this.#free.push(id);
  }

  /** Arms the timer for `deadline` (µs), moving it if it was armed. A deadline in the past is due at once. */
  arm(id: TimerId, deadline: number): void {
    this.#deadlines[id] = deadline;
    this.#place(id);
  }

  /**
   * Arms the timer for `delayUs` (whole µs) from {@linkcode now}. A delay is a small integer where a
   * deadline is a heap number for each call: what is armed for every packet is armed this way.
   */
  armIn(id: TimerId, delayUs: number): void {
    this.#deadlines[id] = this.now + delayUs;
    this.#place(id);
  }

  cancel(id: TimerId): void {
    const place = this.#places[id]!;
    if (place >= 0) {
      this.#unlink(id, place);
      this.#armed--;
    }
    this.#places[id] = IDLE;
  }

  isArmed(id: TimerId): boolean {
    return this.#places[id]! >= 0;
  }

  /** The deadline last given to {@linkcode arm}. */
  deadline(id: TimerId): number {
    return this.#deadlines[id]!;
  }

  /**
   * Delivers every timer whose deadline is at or before `now`, in slot order. What an owner does in
   * {@linkcode TimerOwner.due} to other timers counts: one cancelled or moved there does not fire.
   */
  advance(now: number): void {
    this.now = now;
    const count = this.#collect(now);
    let i = 0;
    try {
      while (i < count) this.#deliver(this.#due[i++]!, now);
    } finally {
      // An owner that throws must not take the others' timers along.
      for (; i < count; i++) this.#postpone(this.#due[i]!);
    }
  }

  /** Offers the next few timers that are due within `us` from {@linkcode now} to their owners. */
  offer(us: number): void {
    const count = this.#upcoming(this.now + us);
    for (let i = 0; i < count; i++) {
      const id = this.#due[i]!;
      this.#owners[id]?.dueSoon?.(id, this.now);
    }
  }

  #deliver(id: TimerId, now: number): void {
    if (this.#places[id] !== DUE) return;
    this.#places[id] = IDLE;
    this.#owners[id]!.due(id, now);
  }

  #postpone(id: TimerId): void {
    if (this.#places[id] === DUE) this.arm(id, this.#deadlines[id]!);
  }

  /**
   * A moment not after the earliest deadline, to sleep until; `Infinity` when nothing is armed. It is exact
   * for deadlines within the span of the wheel and the end of the span for those beyond.
   */
  nextDeadline(): number {
    if (this.#armed === 0) return Infinity;
    const end = this.#cursor + SLOTS;
    for (let slot = this.#nextOccupied(this.#cursor, end); slot < end;) {
      const earliest = this.#earliestWithin(slot);
      if (earliest !== Infinity) return earliest;
      slot = this.#nextOccupied(slot + 1, end);
    }
    return end * SLOT_US;
  }

  /** Takes due timers out of their slots into #due. */
  #collect(now: number): number {
    const nowSlot = slotOf(now);
    const end = Math.min(nowSlot, this.#cursor + SLOTS - 1) + 1;
    let count = 0;
    for (
      let slot = this.#nextOccupied(this.#cursor, end);
      slot < end;
      slot = this.#nextOccupied(slot + 1, end)
    ) {
      const place = slot & SLOT_MASK;
      for (let id = this.#heads[place]!; id !== NONE;) {
        const following = this.#next[id]!;
        if (this.#deadlines[id]! <= now) {
          this.#unlink(id, place);
          this.#armed--;
          this.#places[id] = DUE;
          this.#due[count++] = id;
        }
        id = following;
      }
    }
    // The present slot may still hold timers that are due later within it.
    this.#cursor = Math.max(this.#cursor, nowSlot);
    return count;
  }

  /** Copies the next few timers that are due by `until` into #due, and leaves them where they are. */
  #upcoming(until: number): number {
    const end = Math.min(slotOf(until), this.#cursor + SLOTS - 1) + 1;
    let count = 0;
    for (
      let slot = this.#nextOccupied(this.#cursor, end);
      slot < end;
      slot = this.#nextOccupied(slot + 1, end)
    ) {
      for (let id = this.#heads[slot & SLOT_MASK]!; id !== NONE; id = this.#next[id]!) {
        if (this.#deadlines[id]! > until) continue;
        this.#due[count++] = id;
        if (count === OFFERS) return count;
      }
    }
    return count;
  }

  #earliestWithin(slot: number): number {
    const slotEnd = (slot + 1) * SLOT_US;
    let earliest = Infinity;
    for (let id = this.#heads[slot & SLOT_MASK]!; id !== NONE; id = this.#next[id]!) {
      const deadline = this.#deadlines[id]!;
      if (deadline < slotEnd && deadline < earliest) earliest = deadline;
    }
    return earliest;
  }

  /** The first occupied slot number in [from, end), or `end`. */
  #nextOccupied(from: number, end: number): number {
    for (let slot = from; slot < end;) {
      const place = slot & SLOT_MASK;
      const bits = this.#occupied[place >>> 5]! >>> (place & 31);
      if (bits !== 0) return Math.min(end, slot + trailingZeros(bits));
      slot += 32 - (place & 31);
    }
    return end;
  }

  /** Puts the timer where its deadline belongs, from wherever it was. */
  #place(id: TimerId): void {
    this.cancel(id);
    this.#link(id, Math.max(slotOf(this.#deadlines[id]!), this.#cursor) & SLOT_MASK);
    this.#armed++;
  }

  #link(id: TimerId, place: number): void {
    const head = this.#heads[place]!;
    this.#next[id] = head;
    this.#previous[id] = NONE;
    if (head !== NONE) this.#previous[head] = id;
    this.#heads[place] = id;
    this.#occupied[place >>> 5]! |= 1 << (place & 31);
    this.#places[id] = place;
  }

  #unlink(id: TimerId, place: number): void {
    const next = this.#next[id]!;
    const previous = this.#previous[id]!;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else this.#heads[place] = next;
    if (this.#heads[place] === NONE) this.#occupied[place >>> 5]! &= ~(1 << (place & 31));
  }

  #grow(): void {
    const size = this.#deadlines.length * 2;
    this.#deadlines = copyInto(new Float64Array(size), this.#deadlines);
    this.#places = copyInto(new Int32Array(size).fill(IDLE), this.#places);
    this.#next = copyInto(new Int32Array(size), this.#next);
    this.#previous = copyInto(new Int32Array(size), this.#previous);
    this.#due = copyInto(new Int32Array(size), this.#due);
  }
}

function slotOf(time: number): number {
  return Math.floor(time / SLOT_US);
}

function trailingZeros(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

function copyInto<T extends Float64Array | Int32Array>(target: T, source: T): T {
  target.set(source);
  return target;
}
