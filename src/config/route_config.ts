/** The file that `route_config` names: the reference's `{"exclude": [ADDRESS, ...]}`. */
import { dirname, isAbsolute, join } from "node:path";
import { parseYaml } from "./document.ts";
import { Findings } from "./findings.ts";
import type { Problem } from "./problem.ts";
import { routeConfigSchema } from "./schema.ts";
import { validate } from "./validate.ts";

/** A file's text, or why there is none. */
export type TextResult =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export type ReadFile = (path: string) => TextResult;

/**
 * The addresses in a second file, whose path is relative to the first one's directory. Its problems join those of
 * the first. JSON is read as the YAML that it also is, so that its problems have lines too.
 */
export function excludedByFile(
  path: string | undefined,
  configFile: string,
  readFile: ReadFile | undefined,
  findings: Findings,
): string[] {
  if (path === undefined) return [];
  if (readFile === undefined) {
    findings.refuse(["route_config"], "no second file where only a text is read");
    return [];
  }
  const file = isAbsolute(path) ? path : join(dirname(configFile), path);
  const read = readFile(file);
  const parsed = read.ok ? parseYaml(read.text, file) : read;
  if (!parsed.ok) {
    findings.refuse(["route_config"], "a file that can be read", {
      remark: `problems of ${file} follow`,
    });
    findings.add(parsed.problems);
    return [];
  }
  const inner = new Findings(parsed.document);
  const { draft } = validate(routeConfigSchema, inner);
  findings.add(inner.problems);
  return (draft.exclude ?? []).filter((address) => address !== undefined);
}
