/** What the suite writes down: one file, one entry for each scenario. */

/** A requirement and whether it was met. */
export interface Verdict {
  readonly what: string;
  readonly found: string;
  readonly ok: boolean;
}

/** Cells as people read them; the first column names the row. */
export interface TableData {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A picture: one bar for each label. */
export interface Bars {
  readonly title: string;
  /** What the axis counts. */
  readonly unit: string;
  readonly bars: readonly { readonly label: string; readonly value: number }[];
}

/** What a scenario found. */
export interface Outcome {
  /** What the verdicts and the guard go by; lower is better in all of them. */
  readonly ratios: Readonly<Record<string, number>>;
  /** Absolute figures: context. */
  readonly figures: Readonly<Record<string, number | null>>;
  readonly verdicts: readonly Verdict[];
  readonly table: TableData;
  readonly pictures: readonly Bars[];
}

/** What was measured, on what and with what. */
export interface Entry extends Outcome {
  readonly title: string;
  readonly about: string;
  readonly date: string;
  readonly machine: Readonly<Record<string, string | number>>;
}

/** By the scenario's name. */
export type Results = Record<string, Entry>;

/** The results in a file; none when there is no such file. */
export async function readResults(file: string): Promise<Results> {
  try {
    return JSON.parse(await Deno.readTextFile(file)) as Results;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw new Error(`${file}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Writes one scenario's entry beside what the file has of the others. */
export async function writeEntry(file: string, name: string, entry: Entry): Promise<void> {
  const results = await readResults(file);
  results[name] = entry;
  await Deno.mkdir(file.replace(/[^/]*$/, "") || ".", { recursive: true });
  await Deno.writeTextFile(file, JSON.stringify(results, null, 2) + "\n");
}
