import { toJsonSchema } from "@valibot/to-json-schema";
import { configSchema } from "./schema.ts";

/**
 * The JSON Schema (draft 2020-12) of the configuration file, for editors and `livenessd schema`.
 *
 * It says what a schema can say: keys, types, ranges, defaults. What settings mean for each other is
 * checked when a file is loaded.
 */
export function jsonSchema(): Record<string, unknown> {
  const schema = toJsonSchema(configSchema, {
    target: "draft-2020-12",
    typeMode: "input", // what is written, not what it becomes
    errorMode: "ignore", // refinements that JSON Schema has no words for
    overrideSchema: ({ valibotSchema, jsonSchema }) =>
      valibotSchema.type === "object_with_rest"
        ? { ...jsonSchema, additionalProperties: false }
        : undefined,
    overrideAction: ({ valibotAction, jsonSchema }) => withPattern(valibotAction, jsonSchema),
  });
  return { title: "livenessd configuration", ...schema };
}

/** Metadata may carry the `pattern` of a text that our own code reads; the converter leaves it out. */
function withPattern<S extends object>(action: { type: string }, converted: S): S | undefined {
  if (action.type !== "metadata" || !("metadata" in action)) return undefined;
  const { metadata } = action;
  if (typeof metadata !== "object" || metadata === null || !("pattern" in metadata)) {
    return undefined;
  }
  return { ...converted, pattern: metadata.pattern };
}
