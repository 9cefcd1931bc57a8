import { type Gauge, Registry } from "prom-client";
import type { HistogramData } from "./histogram.ts";
import { type Labels, type LabelValues, NO_LABELS } from "./labels.ts";

/** One line of the exposition: labels and a value, in prom-client's words. */
export interface Row {
  /** Labels of this scrape only. */
  readonly labels: LabelValues;
  /** Labels that are kept, after the others. Never a new object: prom-client remembers each. */
  readonly sharedLabels: LabelValues;
  readonly value: number;
  /** When it is not the family's own name: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string;
}

/** A metric of one name, whose rows are made when it is scraped. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Few at a time, those of one endpoint or peer: a step of a generator costs more than a row. */
  rows(): Iterable<readonly Row[]>;
}

export const CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/** Rows formatted in one go: a millisecond or two. */
const SLICE = 1_000;

/** A row whose labels are all kept. */
export function row({ values }: Labels, value: number): Row {
  return { labels: NO_LABELS.values, sharedLabels: values, value };
}

/** The rows of one histogram: cumulative buckets, sum and count, taken at one moment. */
export function histogramRows(name: string, labels: Labels, data: HistogramData): Row[] {
  const { bounds, counts, sum } = data;
  const rows: Row[] = [];
  const add = (metricName: string, { values }: Labels, value: number) =>
    rows.push({ labels: NO_LABELS.values, sharedLabels: values, value, metricName });
  const bucket = `${name}_bucket`;
  let count = 0;
  for (let i = 0; i <= bounds.length; i++) {
    count += counts[i]!;
    add(bucket, labels.with("le", bounds[i] ?? "+Inf"), count);
  }
  add(`${name}_sum`, labels, sum);
  add(`${name}_count`, labels, count);
  return rows;
}

/**
 * Prometheus' text format, a slice at a time: between two slices the consumer can let the loop run.
 * The last slice is returned instead of yielded: a short exposition is whole at once.
 * @throws {Error} when two families have the same name
 */
export async function* exposition(
  families: Iterable<Family>,
): AsyncGenerator<string, string, void> {
  const names = new Set<string>();
  let slice = new Slice(false);
  let room = SLICE;
  for (const family of families) {
    if (names.has(family.name)) throw new Error(`metric ${family.name} is defined twice`);
    names.add(family.name);
    let rows = slice.begin(family);
    for (const few of family.rows()) {
      if (room <= 0) {
        yield await slice.text();
        slice = new Slice(true);
        rows = slice.begin(family);
        room = SLICE;
      }
      rows.push(...few);
      room -= few.length;
    }
  }
  return slice.text();
}

/** What is formatted in one go. prom-client's registry is the formatter. */
class Slice {
  readonly #registry = new Registry();
  readonly #names: string[] = [];

  /** @param continues whether its first family has begun in the slice before */
  constructor(private readonly continues: boolean) {}

  /** Returns where the family's rows go. */
  begin({ name, help, type }: Family): Row[] {
    const values: Row[] = [];
    // The registry asks a metric for its values through `get`, so values kept elsewhere need no copy in one
    // of prom-client's own metrics.
    const metric = { name, help, type, values, get: () => metric };
    this.#registry.registerMetric(metric as unknown as Gauge);
    this.#names.push(name);
    return values;
  }

  async text(): Promise<string> {
    const texts = await Promise.all(
      this.#names.map((name) => this.#registry.getSingleMetricAsString(name)),
    );
    // Each ends without a line feed; the empty piece at the end brings the last.
    const text = [...texts, ""].join("\n");
    return this.continues ? text.slice(afterLine(text, 2)) : text;
  }
}

function afterLine(text: string, lines: number): number {
  let at = 0;
  for (let i = 0; i < lines; i++) at = text.indexOf("\n", at) + 1;
  return at;
}
