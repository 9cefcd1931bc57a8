/** IPv4 addresses and prefixes as text and as numbers in host order. */

/** A prefix by its numbers. */
export interface Prefix {
  readonly address: number;
  /** 0..32. */
  readonly length: number;
}

/** `"10.1.0.1"` → 0x0a010001; `null` for anything but four decimal bytes without leading zeros. */
export function parseAddress(text: string): number | null {
  let address = 0;
  let bytes = 0;
  let byte = -1; // -1: no digit of this byte yet
  for (let i = 0; i <= text.length; i++) {
    const digit = i < text.length ? text.charCodeAt(i) - 48 : -2; // "." is -2 as well
    if (digit === -2) {
      if (byte < 0 || byte > 255 || ++bytes > 4) return null;
      address = address * 256 + byte;
      byte = -1;
    } else if (digit < 0 || digit > 9 || byte === 0) {
      return null;
    } else {
      byte = Math.max(byte, 0) * 10 + digit;
    }
  }
  return bytes === 4 ? address : null;
}

/** 0x0a010001 → `"10.1.0.1"`. */
export function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** `"10.1.0.0/16"` by its numbers; `null` for anything else, also when host bits are set. */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf("/");
  if (slash < 0) return null;
  const address = parseAddress(text.slice(0, slash));
  const digits = text.slice(slash + 1);
  if (address === null || !/^(?:[12]?\d|3[0-2])$/.test(digits)) return null;
  const length = Number(digits);
  return hasHostBits(address, length) ? null : { address, length };
}

/** Whether bits below the prefix length are set. */
export function hasHostBits(address: number, length: number): boolean {
  return length < 32 && (address & (0xffffffff >>> length)) !== 0;
}
