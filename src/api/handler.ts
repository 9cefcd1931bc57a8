import { CONTENT_TYPE } from "../observe/exposition.ts";
import type { ApiContext } from "./context.ts";
import { listEvents } from "./events.ts";
import { ApiProblem, quote } from "./problem.ts";
import { referenceRoutes } from "./reference_routes.ts";
import { addRoute, listRoutes, removeRoute } from "./routes.ts";
import { listSessions, setAdmin } from "./sessions.ts";
import { textBody } from "./slices.ts";

/** Answers one HTTP request; never throws. */
export type Handler = (request: Request) => Promise<Response>;

type Endpoint = (context: ApiContext, request: Request) => Response | Promise<Response>;
type Endpoints = Readonly<Record<string, Readonly<Record<string, Endpoint>>>>;

/** What changes nothing: all that `metrics.listen` offers. */
const OBSERVING: Endpoints = {
  "/metrics": { GET: metrics },
  "/healthz": { GET: health },
  "/readyz": { GET: readiness },
};

const CONTROL: Endpoints = {
  ...OBSERVING,
  "/routes": { GET: referenceRoutes },
  "/v1/status": { GET: (context) => Response.json(context.status.status()) },
  "/v1/routes": { GET: listRoutes, POST: addRoute, DELETE: removeRoute },
  "/v1/sessions": { GET: listSessions },
  "/v1/sessions/admin": { POST: setAdmin },
  "/v1/events": { GET: listEvents },
};

/** The handler for the Unix socket: everything. */
export function controlHandler(context: ApiContext): Handler {
  return async (request) => uncached(await answer(CONTROL, context, request));
}

/** The handler for `metrics.listen`: `/metrics`, `/healthz` and `/readyz`. */
export function observingHandler(context: ApiContext): Handler {
  return async (request) => uncached(await answer(OBSERVING, context, request));
}

async function answer(
  endpoints: Endpoints,
  context: ApiContext,
  request: Request,
): Promise<Response> {
  try {
    const endpoint = choose(endpoints, request);
    const response = await endpoint(context, request);
    if (request.method !== "HEAD") return response;
    await response.body?.cancel();
    return new Response(null, response);
  } catch (error) {
    if (error instanceof ApiProblem) return error.toResponse();
    context.onError(error);
    return new ApiProblem(500, "something unforeseen happened; the daemon's log has it")
      .toResponse();
  }
}

/** Answers are of the moment; and a runtime that compresses them (Deno 2.6 does) delays sessions by it. */
function uncached(response: Response): Response {
  response.headers.set("cache-control", "no-store, no-transform");
  return response;
}

function choose(endpoints: Endpoints, request: Request): Endpoint {
  const { pathname } = new URL(request.url);
  const methods = Object.hasOwn(endpoints, pathname) ? endpoints[pathname] : undefined;
  if (methods === undefined) {
    const paths = Object.keys(endpoints);
    throw new ApiProblem(404, `there is no ${quote(pathname)}; there are ${paths.join(", ")}`);
  }
  const method = request.method === "HEAD" ? "GET" : request.method;
  const endpoint = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (endpoint === undefined) {
    const allow = Object.keys(methods).flatMap((m) => m === "GET" ? ["GET", "HEAD"] : [m]);
    const detail = `${pathname} answers ${allow.join(", ")}, not ${quote(request.method)}`;
    throw new ApiProblem(405, detail, {}, { allow: allow.join(", ") });
  }
  return endpoint;
}

/** A short exposition goes out whole: making it while it is sent takes more turns of the runtime. */
async function metrics(context: ApiContext, request: Request): Promise<Response> {
  const headers = { "content-type": CONTENT_TYPE };
  if (request.method === "HEAD") return new Response(null, { headers });
  const slices = context.metrics.scrape();
  const first = await slices.next();
  const body = first.done ? first.value : textBody(paused(first.value, slices, context.pause));
  return new Response(body, { headers });
}

async function* paused(
  first: string,
  slices: AsyncGenerator<string, string, void>,
  pause: () => Promise<void>,
): AsyncGenerator<string, void, void> {
  yield first;
  for (let done: boolean | undefined = false; !done;) {
    await pause();
    const next = await slices.next();
    yield next.value;
    done = next.done;
  }
}

// Whoever gets this answer has proof that the loop turns; there is nothing more to say.
function health(): Response {
  return plain(200, "ok\n");
}

function readiness(context: ApiContext): Response {
  const readiness = context.status.readiness();
  return readiness.ready ? plain(200, "ready\n") : plain(503, `not ready: ${readiness.reason}\n`);
}

function plain(status: number, text: string): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}
