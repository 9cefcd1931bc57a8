import { Session, type SessionParameters } from "../protocol/session.ts";
import type { Endpoint, Transport } from "../transport/transport.ts";
import { addressKey } from "../transport/address.ts";
import type { Random } from "../scheduler/random.ts";
import type { FormerRun, FormerSession } from "./former_run.ts";
import { type HistogramKind, type HistogramSink, LocalEnd } from "./local_end.ts";
import type { SessionKeyParts } from "./manager_api.ts";
import { type SessionContext, SessionEntry } from "./session_entry.ts";

export interface SessionTableOptions {
  readonly transport: Transport;
  readonly parameters: SessionParameters;
  readonly context: SessionContext;
  readonly histogram: (kind: HistogramKind) => HistogramSink;
}

/** Discriminators of ended sessions that are remembered. */
const RETIRED = 16_384;

/**
 * All sessions, by our end and the peer. An end's socket is opened with its first session and closed with
 * its last; the end itself stays, with what was counted.
 */
export class SessionTable {
  readonly #options: SessionTableOptions;
  readonly #ends = new Map<string, LocalEnd>();
  readonly #byEndpoint = new Map<Endpoint, LocalEnd>();
  readonly #former = new Map<string, FormerSession>();
  readonly #formerDiscriminators = new Set<number>();
  #formerEnded = false;
  /** Discriminators of sessions that ended in this run, by session key. */
  readonly #retired = new Map<string, number>();
  #size = 0;

  constructor(options: SessionTableOptions) {
    this.#options = options;
  }

  /** Number of sessions. */
  get size(): number {
    return this.#size;
  }

  /** Sessions that are made from now on go on where those of a former run were cut off. */
  resume({ sessions, ended }: FormerRun): void {
    this.#formerEnded = ended;
    for (const former of sessions) {
      this.#former.set(formerKey(former), former);
      this.#formerDiscriminators.add(former.discriminator);
    }
  }

  ends(): Iterable<LocalEnd> {
    return this.#ends.values();
  }

  *sessions(): Iterable<SessionEntry> {
    for (const end of this.#ends.values()) yield* end.sessions.values();
  }

  /** The end that an endpoint belongs to; `undefined` once its last session is gone. */
  endOf(endpoint: Endpoint): LocalEnd | undefined {
    return this.#byEndpoint.get(endpoint);
  }

  find(key: SessionKeyParts): SessionEntry | undefined {
    return this.#ends.get(endKey(key.dev, key.src))?.sessions.get(addressKey(key.peer));
  }

  /** A session through `dev` to `peer` from whatever local address; probes share one way per interface. */
  findOnDevice(dev: string, peer: string): SessionEntry | undefined {
    const peerKey = addressKey(peer);
    for (const end of this.#ends.values()) {
      const found = end.dev === dev ? end.sessions.get(peerKey) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Makes a session; there must be none for the key. */
  add(key: SessionKeyParts, via: string): SessionEntry {
    const { parameters, context } = this.#options;
    const end = this.#acquireEnd(key.dev, key.src);
    const { clock, random } = context;
    const former = this.#takeFormer(key);
    const discriminator = former?.discriminator ?? this.#retired.get(formerKey(key)) ??
      this.#freshDiscriminator(random);
    const session = new Session(parameters, discriminator, clock.now());
    const entry = new SessionEntry(end, key.peer, addressKey(key.peer), via, session, context);
    if (former !== undefined) entry.resume(former, this.#formerEnded);
    end.sessions.set(entry.peerKey, entry);
    this.#size++;
    return entry;
  }

  /** Ends a session; with the end's last one its socket is closed. */
  remove(entry: SessionEntry): void {
    const { end } = entry;
    entry.stop();
    this.#retire(entry);
    end.sessions.delete(entry.peerKey);
    this.#size--;
    if (end.sessions.size > 0) return;
    this.#byEndpoint.delete(end.endpoint);
    this.#options.transport.release(end.endpoint);
  }

  /** A session goes on once; registered again later it is a new one. */
  #takeFormer(key: SessionKeyParts): FormerSession | undefined {
    const former = this.#former.get(formerKey(key));
    if (former !== undefined) this.#former.delete(formerKey(key));
    return former;
  }

  /**
   * The reference never forgets what we called ourselves: a session registered anew under another name
   * would be ignored for ever. So names are kept, the last ones at least.
   */
  #retire(entry: SessionEntry): void {
    const key = sessionKey(entry);
    this.#retired.delete(key);
    this.#retired.set(key, entry.session.localDiscr);
    if (this.#retired.size <= RETIRED) return;
    const oldest = this.#retired.keys().next().value;
    if (oldest !== undefined) this.#retired.delete(oldest);
  }

  #freshDiscriminator(random: Random): number {
    let discriminator: number;
    do discriminator = random.discriminator(); while (
      this.#formerDiscriminators.has(discriminator)
    );
    return discriminator;
  }

  #acquireEnd(dev: string, address: string): LocalEnd {
    const { transport, histogram } = this.#options;
    const key = endKey(dev, address);
    let end = this.#ends.get(key);
    if (end !== undefined && end.sessions.size > 0) return end;
    const endpoint = transport.acquire(dev, address);
    if (end === undefined) {
      this.#ends.set(key, end = new LocalEnd(dev, address, endpoint, histogram));
    }
    end.endpoint = endpoint;
    end.wasOpen = endpoint.open;
    this.#byEndpoint.set(endpoint, end);
    return end;
  }
}

function formerKey({ dev, src, peer }: SessionKeyParts): string {
  return `${dev} ${src} ${peer}`;
}

function endKey(dev: string, address: string): string {
  return `${dev} ${address}`;
}

/** What names a session, as one string. */
function sessionKey(entry: SessionEntry): string {
  return `${entry.end.dev} ${entry.end.address} ${entry.peer}`;
}
