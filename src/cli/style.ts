import { bold, dim, green, red, yellow } from "@std/fmt/colors";
import type { CliIo } from "./io.ts";

/** How words are coloured: for a person at a terminal, else not at all. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  between(text: string): string;
  quiet(text: string): string;
  strong(text: string): string;
}

const PLAIN: Style = {
  good: same,
  bad: same,
  between: same,
  quiet: same,
  strong: same,
};
const COLORED: Style = { good: green, bad: red, between: yellow, quiet: dim, strong: bold };

export function styleOf(io: Pick<CliIo, "color">): Style {
  return io.color ? COLORED : PLAIN;
}

function same(text: string): string {
  return text;
}
