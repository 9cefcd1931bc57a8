import { ApiProblem, quote } from "./problem.ts";

/** Largest body that is read. */
export const BODY_LIMIT = 64 * 1024;

/**
 * Reads a JSON object.
 * @throws {ApiProblem} 413 when it is too large, 400 when it is not a JSON object in UTF-8
 */
export async function readJsonObject(request: Request): Promise<Record<string, unknown>> {
  const text = await readText(request);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ApiProblem(400, `the body must be a JSON object, got ${quote(text)}: ${why}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ApiProblem(400, `the body must be a JSON object, got ${quote(value)}`);
  }
  return value as Record<string, unknown>;
}

async function readText(request: Request): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let size = 0;
  try {
    // Leaving the loop cancels the rest of the body.
    for await (const chunk of request.body ?? []) {
      size += chunk.byteLength;
      if (size > BODY_LIMIT) {
        throw new ApiProblem(413, `the body is larger than ${BODY_LIMIT} bytes, the most allowed`);
      }
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof TypeError) throw new ApiProblem(400, "the body is not UTF-8 text");
    throw error;
  }
}
