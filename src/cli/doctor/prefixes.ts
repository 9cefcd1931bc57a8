import { parseAddress } from "../../kernel/ipv4.ts";

/** Whether a prefix as `ip` writes it (`10.0.0.0/30`, `10.0.0.2`, `default`) covers an address. */
export function covers(prefix: string, address: number): boolean {
  if (prefix === "default") return true;
  const [text = "", digits = "32"] = prefix.split("/");
  const start = parseAddress(text);
  if (start === null || !/^\d+$/.test(digits)) return false;
  const length = Number(digits);
  return length === 0 || (start ^ address) >>> (32 - length) === 0;
}
