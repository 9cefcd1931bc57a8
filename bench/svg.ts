/** Bar charts by hand: text that a browser draws, readable on light and on dark. */
import type { Bars } from "./results.ts";

const WIDTH = 720;
const LABEL = 250;
const RIGHT = 90;
const BAR = 22;
const PITCH = 32;
const TOP = 48;
const AXIS = 44;

/** About how many marks the axis has. */
const MARKS = 5;

/** One horizontal bar for each label, over an axis from 0. */
export function barChart({ title, unit, bars }: Bars): string {
  const step = niceStep(Math.max(...bars.map(({ value }) => value), 1e-9) / MARKS);
  const end = step * Math.ceil(Math.max(...bars.map(({ value }) => value), step) / step);
  const x = (value: number) => LABEL + value / end * (WIDTH - LABEL - RIGHT);
  const bottom = TOP + bars.length * PITCH;
  const marks = Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + AXIS}" role="img" ` +
    `aria-label="${escaped(title)}">`,
    STYLE,
    `<text class="title" x="8" y="24">${escaped(title)}</text>`,
    ...marks.map((mark) => axisMark(x(mark), bottom, mark)),
    ...bars.map(({ label, value }, i) => bar(label, value, TOP + i * PITCH, x)),
    `<text class="unit" x="${(x(0) + x(end)) / 2}" y="${bottom + 36}">${escaped(unit)}</text>`,
    "</svg>",
    "",
  ].join("\n");
}

// Embedded as an image, it follows the reader's preference and not the page: a grey that both can bear is the default.
const STYLE = `<style>
  text { font: 13px system-ui, sans-serif; fill: #6e7781; }
  .title { font-size: 15px; font-weight: 600; }
  .label { text-anchor: end; }
  .mark, .unit { text-anchor: middle; font-size: 12px; }
  line { stroke: #6e7781; stroke-opacity: 0.35; }
  rect { fill: #8b949e; }
  rect.own { fill: #2f81f7; }
  @media (prefers-color-scheme: light) { text { fill: #24292f; } }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3; } }
</style>`;

function bar(label: string, value: number, y: number, x: (value: number) => number): string {
  const middle = y + BAR / 2 + 5;
  const own = /^(livenessd|measured)/.test(label) ? ' class="own"' : "";
  const width = Math.max(1, x(value) - x(0));
  return [
    `<text class="label" x="${LABEL - 10}" y="${middle}">${escaped(label)}</text>`,
    `<rect${own} x="${x(0)}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
    `<text x="${(x(value) + 8).toFixed(1)}" y="${middle}">${value}</text>`,
  ].join("");
}

function axisMark(x: number, bottom: number, value: number): string {
  const at = x.toFixed(1);
  return `<line x1="${at}" y1="${TOP - 8}" x2="${at}" y2="${bottom}"/>` +
    `<text class="mark" x="${at}" y="${bottom + 17}">${Number(value.toPrecision(6))}</text>`;
}

/** The next of 1, 2, 5 times a power of ten. */
function niceStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= atLeast * 0.999)!;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
