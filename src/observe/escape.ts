// C0 and C1 controls, DEL, and the marks that reorder or hide text: what could move a cursor, colour
// the screen, forge a line or make a reader see another text than the one that is there.
// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Makes text that came from outside safe to print on one line: controls become `\xNN`, `\uNNNN`. */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (char) => {
    const code = char.charCodeAt(0);
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/**
 * Makes JSON text safe to print without changing what it says. JSON escapes C0 controls itself, and the
 * others can stand in strings only, where `\uNNNN` means the same.
 */
export function escapeJsonControls(json: string): string {
  return json.replace(
    UNSAFE,
    (char) => char < " " ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
