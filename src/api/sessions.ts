import * as v from "valibot";
import type { SessionKeyParts } from "../manager/manager_api.ts";
import type { SessionSnapshot } from "../manager/snapshot.ts";
import type { Event } from "../observe/event.ts";
import { readJsonObject } from "./body.ts";
import type { ApiContext } from "./context.ts";
import { ApiProblem, quote } from "./problem.ts";
import { refused } from "./routes.ts";
import { jsonArrayBody, slices } from "./slices.ts";

/** Candidates named when a key fits several. */
const SHOWN = 20;

const text = v.pipe(v.string("must be text"), v.minLength(1, "must not be empty"));
const AdminRequest = v.strictObject({
  dev: v.optional(text),
  src: v.optional(text),
  peer: text,
  state: v.picklist(["down", "up"], 'must be "down" or "up"'),
});
type AdminRequest = v.InferOutput<typeof AdminRequest>;

/** What a session can be asked for by. */
const KEYS = ["peer", "dev", "src"] as const;

/**
 * `GET /v1/sessions`: every session. With `peer`, `dev` or `src` those that fit, and with `peer` each with
 * its `history`: the last 32 events.
 */
export function listSessions(context: ApiContext, request: Request): Response {
  const wanted = readKeys(new URL(request.url).searchParams);
  const sessions = wanted.length === 0
    ? context.manager.sessions()
    : chosen(context, wanted, wanted.some(([key]) => key === "peer"));
  return new Response(jsonArrayBody(sessions, context.pause), {
    headers: { "content-type": "application/json" },
  });
}

function readKeys(query: URLSearchParams): [typeof KEYS[number], string][] {
  return Array.from(query, ([name, value]) => {
    const key = KEYS.find((each) => each === name);
    if (key !== undefined) return [key, value];
    throw new ApiProblem(
      400,
      `there is no parameter ${quote(name)}; allowed are ${KEYS.join(", ")}`,
    );
  });
}

function* chosen(
  { manager, events }: ApiContext,
  wanted: readonly [typeof KEYS[number], string][],
  withHistory: boolean,
): Iterable<SessionSnapshot & { readonly history?: Event[] }> {
  for (const session of manager.sessions()) {
    if (!wanted.every(([key, value]) => session[key] === value)) continue;
    yield withHistory ? { ...session, history: events.sessionHistory(session) } : session;
  }
}

/**
 * `POST /v1/sessions/admin`: takes a session down, or up again. `dev` and `src` may be left out while the
 * peer has one session only.
 */
export async function setAdmin(context: ApiContext, request: Request): Promise<Response> {
  const wanted = parse(await readJsonObject(request));
  const key = await resolve(context, wanted);
  const outcome = context.manager.setAdmin(key, wanted.state);
  if (!outcome.ok) throw refused(outcome);
  return Response.json({ ...key, state: wanted.state });
}

function parse(body: Record<string, unknown>): AdminRequest {
  const result = v.safeParse(AdminRequest, body);
  if (result.success) return result.output;
  const problems = result.issues.map((issue) => {
    const path = v.getDotPath(issue) ?? "the body";
    if (!(path in AdminRequest.entries)) {
      return `there is no ${quote(path)}; allowed are dev, src, peer, state`;
    }
    return `${path} ${
      issue.input === undefined ? "is missing" : `${issue.message}, got ${quote(issue.input)}`
    }`;
  });
  throw new ApiProblem(422, problems.join("; "), { problems });
}

async function resolve(context: ApiContext, wanted: AdminRequest): Promise<SessionKeyParts> {
  const { dev, src, peer } = wanted;
  if (dev !== undefined && src !== undefined) return { dev, src, peer };
  const found: SessionKeyParts[] = [];
  for await (const slice of slices(context.manager.sessions(), context.pause)) {
    for (const s of slice) {
      const fits = s.peer === peer && (dev ?? s.dev) === s.dev && (src ?? s.src) === s.src;
      if (fits) found.push({ dev: s.dev, src: s.src, peer: s.peer });
    }
  }
  const [key] = found;
  const words = [peer, dev && `dev ${dev}`, src && `src ${src}`].filter(Boolean).join(" ");
  if (key === undefined) throw new ApiProblem(404, `there is no session with peer ${words}`);
  if (found.length > 1) {
    const detail = `peer ${words} has ${found.length} sessions: say dev or src, too`;
    throw new ApiProblem(409, detail, { candidates: found.slice(0, SHOWN) });
  }
  return key;
}
