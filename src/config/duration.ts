/**
 * Durations as Go writes them (`300ms`, `1.5s`, `1m30s`), read exactly into whole microseconds.
 * Grammar: https://pkg.go.dev/time#ParseDuration.
 */

/** A duration in µs, or why the text is none; the reason completes the sentence "it …". */
export type DurationResult =
  | { readonly ok: true; readonly us: number }
  | { readonly ok: false; readonly reason: string };

const NS_PER_UNIT: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  "µs": 1_000n, // U+00B5, micro sign
  "μs": 1_000n, // U+03BC, Greek letter mu
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const TERM = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const TERMS = "(?:(?:\\d+\\.?\\d*|\\.\\d+)(?:ns|us|µs|μs|ms|s|m|h))+";
const WHOLE = new RegExp(`^${TERMS}$`);

/** What a duration looks like, as a regular expression for the JSON Schema. */
export const DURATION_PATTERN = `^\\+?(?:0|${TERMS})$`;

/** Longer text is refused unread: it bounds the digits, and with them the arithmetic below. */
const MAX_TEXT = 64;
const FRACTION_SCALE = BigInt(MAX_TEXT);

/**
 * Reads a duration of 0 or more. Only `0` may go without a unit, as in Go. What is finer than a
 * microsecond is refused rather than rounded, because the protocol cannot express it.
 */
export function parseDuration(text: string): DurationResult {
  if (text.length > MAX_TEXT) return refusal(`is longer than ${MAX_TEXT} characters`);
  if (/^-/.test(text)) return refusal("cannot be negative");
  const unsigned = text.replace(/^\+/, "");
  if (unsigned === "0") return { ok: true, us: 0 };
  if (/^(?:\d+\.?\d*|\.\d+)$/.test(unsigned)) return refusal("needs a unit: ms, s, m or h");
  if (!WHOLE.test(unsigned)) return refusal("is not numbers with units: us, ms, s, m or h");
  return exactMicroseconds(unsigned);
}

/** Fixed-point arithmetic: binary fractions would make 1.1ms something else than 1100 µs. */
function exactMicroseconds(text: string): DurationResult {
  let scaledNs = 0n;
  for (const [, digits = "", unit = ""] of text.matchAll(TERM)) {
    const [whole = "", fraction = ""] = digits.split(".");
    const scale = 10n ** (FRACTION_SCALE - BigInt(fraction.length));
    scaledNs += BigInt(whole + fraction) * scale * (NS_PER_UNIT[unit] ?? 0n);
  }
  const scaledUs = 1_000n * 10n ** FRACTION_SCALE;
  if (scaledNs % scaledUs !== 0n) return refusal("is finer than a microsecond");
  const us = scaledNs / scaledUs;
  if (us > BigInt(Number.MAX_SAFE_INTEGER)) return refusal("is longer than 285 years");
  return { ok: true, us: Number(us) };
}

function refusal(reason: string): DurationResult {
  return { ok: false, reason };
}

/**
 * Writes whole microseconds (0 or more) as the shortest text that {@link parseDuration} reads back:
 * `0s`, `50us`, `1.5ms`, `300ms`, `1.5s`, `1m30s`, `1h`.
 */
export function formatDuration(us: number): string {
  if (us === 0) return "0s";
  if (us < 1_000) return `${us}us`;
  if (us < 1_000_000) return `${decimal(us, 1_000)}ms`;
  const hours = Math.floor(us / 3_600_000_000);
  const minutes = Math.floor(us / 60_000_000) % 60;
  const rest = us % 60_000_000;
  return (hours > 0 ? `${hours}h` : "") + (minutes > 0 ? `${minutes}m` : "") +
    (rest > 0 ? `${decimal(rest, 1_000_000)}s` : "");
}

/** `us / unit` in decimal without rounding; `unit` is a power of ten. */
function decimal(us: number, unit: number): string {
  const fraction = String(us % unit).padStart(String(unit).length - 1, "0").replace(/0+$/, "");
  return `${Math.floor(us / unit)}${fraction === "" ? "" : `.${fraction}`}`;
}
