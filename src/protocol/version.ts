/**
 * The client version that a control packet carries in bytes 21–24: major, minor, patch, channel.
 *
 * It is kept packed, big endian as on the wire, in one signed 32-bit integer, so that "did the peer's
 * version change" is one comparison.
 */
export type ClientVersion = number;

/** All four bytes zero: the peer did not tell. */
export const VERSION_NOT_TOLD: ClientVersion = 0;

const CHANNELS = ["stable", "alpha", "beta", "rc", "dev", "other"] as const;
const DEV = CHANNELS.indexOf("dev");
const OTHER = CHANNELS.indexOf("other");

/** Text that is not a client version; the message names it and the form that is allowed. */
export class VersionError extends Error {
  override readonly name = "VersionError";
  constructor(text: string) {
    super(
      `client version ${
        JSON.stringify(text)
      } is not MAJOR.MINOR.PATCH[-channel], each number 0..255`,
    );
  }
}

/** Packs four bytes (each 0..255) as on the wire. */
export function packVersion(
  major: number,
  minor: number,
  patch: number,
  channel: number,
): ClientVersion {
  return (major << 24) | (minor << 16) | (patch << 8) | channel;
}

/** The four bytes of a packed version. */
export function versionBytes(version: ClientVersion): [number, number, number, number] {
  return [version >>> 24, (version >>> 16) & 255, (version >>> 8) & 255, version & 255];
}

/**
 * Reads `MAJOR.MINOR.PATCH[-channel][+metadata | ~metadata]`.
 *
 * A channel is cut at its first `+`, `~` or `.` and compared without case; one that is not known is
 * `other`. Without a channel, metadata that mentions `git` marks a development build.
 *
 * @throws {VersionError} when a number is missing, not decimal or above 255.
 *
 * @example
 * ```ts
 * import { formatVersion, parseVersion } from "./version.ts";
 *
 * if (formatVersion(parseVersion("1.2.3-RC.1")) !== "1.2.3-rc") throw new Error();
 * ```
 */
export function parseVersion(text: string): ClientVersion {
  const match = /^(\d+)\.(\d+)\.(\d+)(?:-(.*)|[+~](.*))?$/s.exec(text.trim());
  if (!match) throw new VersionError(text);
  const [, major, minor, patch, suffix, metadata] = match;
  const numbers = [Number(major), Number(minor), Number(patch)] as const;
  if (numbers.some((n) => n > 255)) throw new VersionError(text);
  return packVersion(...numbers, channelOf(suffix, metadata));
}

function channelOf(suffix: string | undefined, metadata: string | undefined): number {
  if (suffix === undefined) return /git/i.test(metadata ?? "") ? DEV : 0;
  const name = suffix.split(/[+~.]/, 1)[0]!.toLowerCase();
  const channel = (CHANNELS as readonly string[]).indexOf(name);
  return channel < 0 ? OTHER : channel;
}

/** The version as text; a channel number that nobody assigned is shown as `unknown(N)`. */
export function formatVersion(version: ClientVersion): string {
  const [major, minor, patch, channel] = versionBytes(version);
  const suffix = channel === 0 ? "" : `-${CHANNELS[channel] ?? `unknown(${channel})`}`;
  return `${major}.${minor}.${patch}${suffix}`;
}
