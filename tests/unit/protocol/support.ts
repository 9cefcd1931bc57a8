/** Sessions and packets for tests of the state machine, with times that are easy to add up. */
import { ControlPacket, type State } from "../../../src/protocol/packet.ts";
import { Session, type SessionParameters } from "../../../src/protocol/session.ts";
import { packVersion } from "../../../src/protocol/version.ts";

/** Our discriminator and the peer's. */
export const OURS = 0x0a0a0a0a;
export const THEIRS = 0x0b0b0b0b;

export const parameters: SessionParameters = {
  txMinUs: 300_000,
  rxMinUs: 300_000,
  detectMult: 3,
  minTxFloorUs: 50_000,
  maxTxCeilUs: 3_000_000,
  backoffMaxUs: 60_000_000,
  passive: false,
  clientVersion: packVersion(0, 1, 0, 0),
};

/** The detect time of a session whose peer has the same parameters, µs. */
export const DETECT_US = 900_000;

export function newSession(changes: Partial<SessionParameters> = {}): Session {
  return new Session({ ...parameters, ...changes }, OURS, 0);
}

/** A packet of the peer that echoes our discriminator unless told otherwise. */
export function packet(state: State, changes: Partial<ControlPacket> = {}): ControlPacket {
  return Object.assign(new ControlPacket(), {
    state,
    detectMult: 3,
    localDiscr: THEIRS,
    peerDiscr: OURS,
    desiredMinTxUs: 300_000,
    requiredMinRxUs: 300_000,
    flags: 0,
    clientVersion: packVersion(0, 34, 0, 0),
    ...changes,
  });
}
