/** Builds rtnetlink messages for tests, from the kernel's headers and not from the reader. */

/** One attribute: its type, and its value as bytes, a 32-bit number or an address. */
export type Attribute = readonly [type: number, value: Uint8Array | number | string];

/** `struct nlmsghdr` and a body, padded. */
export function message(
  type: number,
  body: Uint8Array,
  { flags = 0, seq = 7, port = 4711, length = 16 + body.length } = {},
): Uint8Array {
  const bytes = new Uint8Array(16 + pad(body.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, seq, true);
  view.setUint32(12, port, true);
  bytes.set(body, 16);
  return bytes;
}

/** `struct rtmsg` and attributes. */
export function routeBody(
  parts: {
    family?: number;
    prefixLength?: number;
    tos?: number;
    table?: number;
    protocol?: number;
    type?: number;
    flags?: number;
  } = {},
  attributes: readonly Attribute[] = [],
): Uint8Array {
  const { family = 2, prefixLength = 32, tos = 0, table = 254 } = parts;
  const { protocol = 186, type = 1, flags = 0 } = parts;
  const header = [family, prefixLength, 0, tos, table, protocol, 0, type];
  return join(new Uint8Array(header), u32(flags), ...attributes.map((each) => attribute(each)));
}

/** `struct ifinfomsg` and attributes. */
export function linkBody(
  { family = 0, index = 3, flags = 0x11043 } = {},
  attributes: readonly Attribute[] = [],
): Uint8Array {
  const all = attributes.map((each) => attribute(each));
  return join(new Uint8Array([family, 0, 1, 0]), u32(index), u32(flags), u32(0), ...all);
}

/** `struct ifaddrmsg` and attributes. */
export function addressBody(
  { family = 2, prefixLength = 24, index = 3 } = {},
  attributes: readonly Attribute[] = [],
): Uint8Array {
  const all = attributes.map((each) => attribute(each));
  return join(new Uint8Array([family, prefixLength, 0x80, 0]), u32(index), ...all);
}

/** `struct fib_rule_hdr` and attributes. */
export function ruleBody(
  { family = 2, dstLength = 0, srcLength = 0, tos = 0, table = 77, action = 1, flags = 0 } = {},
  attributes: readonly Attribute[] = [],
): Uint8Array {
  const all = attributes.map((each) => attribute(each));
  const header = [family, dstLength, srcLength, tos, table, 0, 0, action];
  return join(new Uint8Array(header), u32(flags), ...all);
}

/** Text and its NUL, as interface names are told. */
export function name(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/** `struct rtattr` and its value, padded. `length` lies about it. */
export function attribute([type, value]: Attribute, length?: number): Uint8Array {
  const payload = typeof value === "number"
    ? u32(value)
    : typeof value === "string"
    ? new Uint8Array(value.split(".").map(Number))
    : value;
  const bytes = new Uint8Array(4 + pad(payload.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, length ?? 4 + payload.length, true);
  view.setUint16(2, type, true);
  bytes.set(payload, 4);
  return bytes;
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
  return bytes;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

function pad(length: number): number {
  return Math.ceil(length / 4) * 4;
}
