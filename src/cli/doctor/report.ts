/** The doctor's findings for people. */
import { escapeControls } from "../../observe/escape.ts";
import type { Style } from "../style.ts";
import type { Group } from "./checks.ts";
import type { Finding, Level } from "./finding.ts";

const MARKS: Readonly<Record<Level, string>> = { ok: "ok", warn: "warn", fail: "FAIL" };
const MARK_WIDTH = 4;
const INDENT = " ".repeat(2 + MARK_WIDTH + 2);
/** Text that is read is not wider than this, however wide the terminal. */
const MOST_COLUMNS = 100;
const USUAL_COLUMNS = 80;

/** Groups of findings, each problem with why it matters and the remedy on a line of its own. */
export function reportText(groups: readonly Group[], style: Style, columns: number | null): string {
  const width = Math.min(columns ?? USUAL_COLUMNS, MOST_COLUMNS);
  const shown = groups.filter(({ findings }) => findings.length > 0).map(({ title, findings }) =>
    `${style.strong(title)}\n${findings.map((finding) => block(finding, style, width)).join("")}`
  );
  return `${shown.join("\n")}\n${summary(groups, style)}\n`;
}

function block({ level, what, why, remedy }: Finding, style: Style, width: number): string {
  const paint = { ok: style.good, warn: style.between, fail: style.bad }[level];
  const mark = `  ${paint(MARKS[level].padEnd(MARK_WIDTH))}  `;
  let text = mark + wrap(what, width) + "\n";
  if (why !== "") text += INDENT + style.quiet(wrap(why, width)) + "\n";
  // Never broken into lines: it is there to be copied.
  if (remedy !== null) text += INDENT + style.strong(escapeControls(remedy)) + "\n";
  return text;
}

/** Lines of at most `width` columns, all but the first indented. A longer word has a line for itself. */
function wrap(text: string, width: number): string {
  const room = Math.max(20, width - INDENT.length);
  const lines: string[] = [];
  for (const word of escapeControls(text).split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines.join(`\n${INDENT}`);
}

function summary(groups: readonly Group[], style: Style): string {
  const levels = groups.flatMap(({ findings }) => findings.map(({ level }) => level));
  const count = (level: Level) => levels.filter((one) => one === level).length;
  const [fails, warns] = [count("fail"), count("warn")];
  if (fails === 0 && warns === 0) {
    return style.good("Nothing found that would break livenessd here.");
  }
  const words = [
    ...(fails > 0 ? [style.bad(`${fails} failure${fails === 1 ? "" : "s"}`)] : []),
    ...(warns > 0 ? [style.between(`${warns} warning${warns === 1 ? "" : "s"}`)] : []),
  ];
  return `Found ${words.join(" and ")}. Nothing was changed.`;
}
