import { ControlPacket, decode, encode, State, STATE_NAMES } from "../../src/protocol/packet.ts";
import { Session, UNSET } from "../../src/protocol/session.ts";
import {
  formatVersion,
  packVersion,
  parseVersion,
  versionBytes,
} from "../../src/protocol/version.ts";

type Json = Record<string, unknown>;

/** Runs one vector; returns what differs, or `null` when our behaviour is the recorded one. */
export function checkVector(line: string): string | null {
  try {
    const vector = JSON.parse(line) as Json;
    if ("steps" in vector) return checkSession(vector as unknown as SessionVector);
    if ("hex" in vector) return checkPacket(vector as unknown as PacketVector);
    if ("input" in vector) return checkVersion(vector as unknown as VersionVector);
    return "not a vector: none of steps, hex, input is there";
  } catch (error) {
    return `exception: ${error instanceof Error ? error.message : error}`;
  }
}

interface PacketVector {
  readonly kind: "decode" | "encode";
  readonly hex: string;
  readonly packet?: PacketFields;
  readonly error?: string;
}

interface PacketFields {
  readonly clientVersion: [number, number, number, number];
  readonly clientVersionText: string;
  readonly desiredMinTxUs: number;
  readonly detectMult: number;
  readonly flags: number;
  readonly length: number;
  readonly localDiscr: number;
  readonly passive: boolean;
  readonly peerDiscr: number;
  readonly requiredMinRxUs: number;
  readonly state: string;
  readonly version: number;
}

function checkPacket({ kind, hex, packet: expected, error }: PacketVector): string | null {
  const bytes = fromHex(hex);
  if (kind === "encode") {
    const out = new DataView(new ArrayBuffer(40));
    encode(packetOf(expected!), out, 0);
    return differs(expected ? "hex" : "packet", toHex(out), hex);
  }
  const packet = new ControlPacket();
  const refusal = decode(bytes, 0, bytes.byteLength, packet);
  if (refusal !== null || error !== undefined) return differs("error", refusal, error ?? null);
  return differs("packet", fieldsOf(packet), expected);
}

function fieldsOf(packet: ControlPacket): PacketFields {
  return {
    clientVersion: versionBytes(packet.clientVersion),
    clientVersionText: formatVersion(packet.clientVersion),
    desiredMinTxUs: packet.desiredMinTxUs,
    detectMult: packet.detectMult,
    flags: packet.flags,
    length: 40,
    localDiscr: packet.localDiscr,
    passive: packet.passive,
    peerDiscr: packet.peerDiscr,
    requiredMinRxUs: packet.requiredMinRxUs,
    state: STATE_NAMES[packet.state],
    version: 1,
  };
}

function packetOf(fields: PacketFields): ControlPacket {
  const packet = new ControlPacket();
  packet.state = STATE_NAMES.indexOf(fields.state as typeof STATE_NAMES[number]) as State;
  packet.detectMult = fields.detectMult;
  packet.localDiscr = fields.localDiscr;
  packet.peerDiscr = fields.peerDiscr;
  packet.desiredMinTxUs = fields.desiredMinTxUs;
  packet.requiredMinRxUs = fields.requiredMinRxUs;
  packet.flags = fields.flags;
  packet.clientVersion = packVersion(...fields.clientVersion);
  return packet;
}

interface VersionVector {
  readonly input: string;
  readonly bytes?: [number, number, number, number];
  readonly text?: string;
  readonly error?: true;
}

function checkVersion({ input, bytes, text, error }: VersionVector): string | null {
  let version: number;
  try {
    version = parseVersion(input);
  } catch (refused) {
    return error ? null : `input ${JSON.stringify(input)}: ${refused}`;
  }
  if (error) return `input ${JSON.stringify(input)}: accepted as ${formatVersion(version)}`;
  return differs("bytes", versionBytes(version), bytes) ??
    differs("text", formatVersion(version), text);
}

interface SessionVector {
  readonly name: string;
  readonly config: {
    readonly backoffMaxUs: number;
    readonly detectMult: number;
    readonly initialState: string;
    readonly localDiscr: number;
    readonly maxTxCeilUs: number;
    readonly minTxFloorUs: number;
    readonly rxMinUs: number;
    readonly txMinUs: number;
  };
  readonly steps: Step[];
}

interface Step extends Json {
  readonly event: string;
  readonly atUs: number;
  readonly after: Json;
}

function checkSession({ config, steps }: SessionVector): string | null {
  const session = new Session(
    { ...config, passive: false, clientVersion: 0 },
    config.localDiscr,
    0,
  );
  // The recording starts in this state; no event led there.
  if (config.initialState === "admin_down") session.state = State.AdminDown;
  for (const [index, step] of steps.entries()) {
    const problem = checkStep(session, step) ??
      differs("after", stateOf(session, step.after), step.after);
    if (problem !== null) return `step ${index + 1} (${step.event} at ${step.atUs}): ${problem}`;
  }
  return null;
}

const scratch = new ControlPacket();

function checkStep(session: Session, step: Step): string | null {
  switch (step.event) {
    case "rx": {
      const bytes = fromHex(String(step.packetHex));
      const refusal = decode(bytes, 0, bytes.byteLength, scratch);
      if (refusal !== null) return differs("changed", false, step.changed);
      return differs("changed", session.receive(scratch, step.atUs) !== null, step.changed);
    }
    case "expireIfDue":
      return differs("expired", session.expireIfDue(step.atUs) !== null, step.expired);
    case "armDetect": {
      const deadline = session.armDetect(step.atUs);
      return differs("armed", deadline !== UNSET, step.armed) ??
        differs("deadlineUs", orNull(deadline), step.deadlineUs);
    }
    case "computeNextTx":
      return differs("meanIntervalUs", session.computeNextTx(), step.meanIntervalUs);
    default:
      return "unknown event";
  }
}

/** Our state under the recording's names; only what the recording shows is compared. */
function stateOf(session: Session, shown: Json): Json {
  const ours: Json = {
    backoffFactor: session.backoffFactor,
    convDownStartUs: orNull(session.convDownStartUs),
    convUpStartUs: orNull(session.convUpStartUs),
    detectDeadlineUs: orNull(session.detectDeadlineUs),
    detectTimeUs: session.detectTimeUs,
    downReason: session.downReason,
    downSinceUs: orNull(session.downSinceUs),
    lastRxUs: orNull(session.lastRxUs),
    lastUpdatedUs: session.lastUpdatedUs,
    peerDiscr: session.peerDiscr,
    peerMode: session.peerMode,
    peerVersion: formatVersion(session.peerVersion),
    state: STATE_NAMES[session.state],
    txIntervalUs: session.txIntervalUs,
    upSinceUs: orNull(session.upSinceUs),
  };
  for (const key of Object.keys(ours)) if (!(key in shown)) delete ours[key];
  return ours;
}

function orNull(time: number): number | null {
  return time === UNSET ? null : time;
}

/** Names every member that differs, so that a mismatch is read at a glance. */
function differs(name: string, ours: unknown, recorded: unknown): string | null {
  if (isObject(ours) && isObject(recorded)) {
    const keys = new Set([...Object.keys(ours), ...Object.keys(recorded)]);
    const problems = [...keys].map((key) => differs(`${name}.${key}`, ours[key], recorded[key]));
    return problems.filter((problem) => problem !== null).join("; ") || null;
  }
  const [a, b] = [JSON.stringify(ours), JSON.stringify(recorded)];
  return a === b ? null : `${name}: ours ${a}, recorded ${b}`;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fromHex(hex: string): DataView {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return new DataView(bytes.buffer);
}

function toHex(view: DataView): string {
  return [...new Uint8Array(view.buffer)].map((b) => b.toString(16).padStart(2, "0")).join("");
}
