/**
 * `deno task bench:report`: writes docs/benchmarks.md and its pictures from the committed results, or from the
 * file that is given.
 */
import { type Entry, readResults, type TableData } from "./results.ts";
import { scenarios } from "./scenarios.ts";
import { barChart } from "./svg.ts";

const root = new URL("..", import.meta.url).pathname;
const docs = `${root}docs/`;
const folder = "benchmarks";

const INTRODUCTION = `# Benchmarks

Written by \`deno task bench:report\` from \`bench/results/baseline.json\`; do not edit.

Two network namespaces, joined by a veth pair. In one of them runs what is measured, on a core of its own; in the other, on
another core, one thin program plays all the peers (\`bench/farside.c\`). The *floor* is a program that receives and
sends the same packets in batches every 5 ms and does nothing else (\`bench/floor.c\`): what the kernel costs anybody.
livenessd is the compiled executable and its metrics are scraped every 5 s.

**Ratios are results, absolute figures are context.** Programs run alternately and ratios are taken within a round, because
machines differ and the same machine differs from minute to minute. "Waited" is how long per second a program
was ready to run and something else had its core: the measure of how far other work disturbed a measurement, and
of what lateness is not its own.

Repeat it with \`deno task bench\` (minutes) or \`deno task bench --full\` (about an hour), as root. Both fail when a
requirement is missed, or when a ratio is more than 15 % worse than the committed one.
`;

/** The whole document. */
function document(entries: readonly [string, Entry][]): string {
  return [INTRODUCTION, summary(entries), ...entries.map(([name, entry]) => section(name, entry))]
    .join("\n");
}

function summary(entries: readonly [string, Entry][]): string {
  const rows = entries.flatMap(([, { ratios }]) =>
    Object.entries(ratios).map(([name, ratio]) => [name, String(ratio)])
  );
  return `## Ratios\n\nLower is better.\n\n${markdown({ head: ["", "ratio"], rows })}`;
}

function section(name: string, entry: Entry): string {
  const { cpu, cores, kernel, ...versions } = entry.machine;
  const on = Object.entries(versions).map(([what, value]) => `${what} ${value}`).join(", ");
  return [
    `## ${entry.title}\n`,
    `${entry.about}\n`,
    markdown(entry.table),
    ...entry.pictures.map(({ title }, i) => `![${title}](${folder}/${pictureName(name, i)})\n`),
    markdown({
      head: ["requirement", "found", ""],
      rows: entry.verdicts.map(({ what, found, ok }) => [what, found, ok ? "met" : "**missed**"]),
    }),
    `Measured ${
      entry.date.slice(0, 16).replace("T", " ")
    } UTC on ${cores} × ${cpu}, Linux ${kernel}; ${on}.\n`,
  ].join("\n");
}

function pictureName(name: string, index: number): string {
  return `${name}${index === 0 ? "" : `-${index + 1}`}.svg`;
}

function markdown({ head, rows }: TableData): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = line(head.map((_, column) => column === 0 ? "---" : "--:"));
  return [line(head), rule, ...rows.map(line), ""].join("\n");
}

const file = Deno.args[0] ?? `${root}bench/results/baseline.json`;
const results = await readResults(file);
const entries = scenarios.flatMap(({ name }): [string, Entry][] => {
  const entry = results[name];
  return entry === undefined ? [] : [[name, entry]];
});
if (entries.length === 0) {
  console.error(
    `bench:report: no results in ${file}; write some with: deno task bench --out ${file}`,
  );
  Deno.exit(1);
}
await Deno.mkdir(`${docs}${folder}`, { recursive: true });
for (const [name, { pictures }] of entries) {
  for (const [index, picture] of pictures.entries()) {
    await Deno.writeTextFile(`${docs}${folder}/${pictureName(name, index)}`, barChart(picture));
  }
}
await Deno.writeTextFile(`${docs}benchmarks.md`, document(entries));
console.log(`wrote ${docs}benchmarks.md`);
