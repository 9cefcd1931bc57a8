/** One line of an exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly samples: Sample[];
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\+Inf|-Inf|[-+]?[0-9.]+(?:e[-+]?\d+)?)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;

/**
 * Reads Prometheus' text format 0.0.4 and throws at whatever a strict reader would object to: a family
 * without HELP and TYPE or with two, samples outside their family, duplicates, labels out of form,
 * histograms that are not cumulative, counters without `_total`.
 */
export function parseExposition(text: string): Map<string, ParsedFamily> {
  const families = new Map<string, ParsedFamily>();
  const seen = new Set<string>();
  let help: string | null = null;
  let family: ParsedFamily | null = null;
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.slice(0, -1).split("\n")) {
    const [hash, keyword, name = "", rest = ""] = /^(#) (\w+) (\S+) ?(.*)$/.exec(line)?.slice(1) ??
      [];
    if (keyword === "HELP") {
      if (families.has(name)) throw new Error(`${name} begins twice`);
      if (rest === "") throw new Error(`${name} has no help`);
      help = name;
      family = null;
    } else if (keyword === "TYPE") {
      if (help !== name) throw new Error(`TYPE ${name} without its HELP before it`);
      family = { name, type: rest, samples: [] };
      families.set(name, family);
    } else if (hash !== undefined || family === null) {
      throw new Error(`unexpected line: ${line}`);
    } else {
      if (seen.has(line.slice(0, line.lastIndexOf(" ")))) throw new Error(`duplicate: ${line}`);
      seen.add(line.slice(0, line.lastIndexOf(" ")));
      family.samples.push(parseSample(line, family));
    }
  }
  for (const each of families.values()) checkFamily(each);
  return families;
}

function parseSample(line: string, family: ParsedFamily): Sample {
  const [, name = "", labelText = "", value = ""] = LINE.exec(line) ?? [];
  if (name === "") throw new Error(`not a sample: ${line}`);
  const suffix = name.slice(family.name.length);
  const suffixes = family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
  if (!name.startsWith(family.name) || !suffixes.includes(suffix)) {
    throw new Error(`${name} stands under ${family.name}`);
  }
  return { name, labels: parseLabels(labelText), value: Number(value.replace("Inf", "Infinity")) };
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name = "", value = ""] = LABEL.exec(text) ?? [];
    if (name === "" || name in labels) throw new Error(`labels out of form: ${text}`);
    labels[name] = value.replace(/\\(.)/g, (_, char) => char === "n" ? "\n" : char);
  }
  return labels;
}

function checkFamily({ name, type, samples }: ParsedFamily): void {
  if (!["counter", "gauge", "histogram"].includes(type)) throw new Error(`${name} is a ${type}`);
  if (type === "counter" && !name.endsWith("_total")) throw new Error(`counter ${name}`);
  if (type === "counter" && samples.some(({ value }) => value < 0)) throw new Error(`${name} < 0`);
  if (type !== "histogram") return;
  const series = Map.groupBy(samples, ({ labels: { le: _, ...rest } }) => JSON.stringify(rest));
  for (const [labels, own] of series) {
    const buckets = own.filter((sample) => sample.name.endsWith("_bucket"));
    const bounds = buckets.map(({ labels }) => Number(labels.le!.replace("Inf", "Infinity")));
    const counts = buckets.map(({ value }) => value);
    const count = own.filter((sample) => sample.name.endsWith("_count"));
    const sum = own.filter((sample) => sample.name.endsWith("_sum"));
    const rises = (list: number[], least: number) =>
      list.every((value, i) => i === 0 || value - list[i - 1]! >= least);
    if (!rises(bounds, Number.MIN_VALUE) || bounds.at(-1) !== Infinity || !rises(counts, 0)) {
      throw new Error(`buckets of ${name} ${labels}: ${bounds} with ${counts}`);
    }
    if (count.length !== 1 || sum.length !== 1 || count[0]!.value !== counts.at(-1)) {
      throw new Error(`sum and count of ${name} ${labels}`);
    }
  }
}
