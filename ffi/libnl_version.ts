import { openLibnl } from "./libnl.ts";
import { openLibrary } from "./library.ts";

/**
 * Loads both libraries of libnl with all that livenessd needs of them; the version they say, `3.7.0`.
 *
 * @throws {MissingLibrary} naming the library and its package
 */
export function libnlVersion(): string {
  openLibnl();
  const { symbols } = openLibrary("libnl-3.so.200", {
    nl_ver_maj: { type: "i32" }, // const int
    nl_ver_min: { type: "i32" }, // const int
    nl_ver_mic: { type: "i32" }, // const int
  }, { debian: "libnl-3-200", fedora: "libnl3", alpine: "libnl3" });
  return [symbols.nl_ver_maj, symbols.nl_ver_min, symbols.nl_ver_mic].join(".");
}
