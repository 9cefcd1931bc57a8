import type { KernelRoute } from "../kernel/route.ts";
import type { RouteSnapshot, SessionSnapshot } from "../manager/snapshot.ts";
import type { ApiContext } from "./context.ts";
import { ApiProblem } from "./problem.ts";
import { jsonArrayBody, slices } from "./slices.ts";

/** One row of `GET /routes`, in the reference's words (spec "The reference's `/routes`"). */
interface ReferenceRoute {
  /** Destination prefix. The reference names its environment here; a prefix tells our routes apart. */
  readonly network: string;
  readonly local_ip: string;
  readonly peer_ip: string;
  readonly kernel_state: "present" | "absent";
  readonly liveness_last_updated?: string;
  readonly liveness_state?: SessionSnapshot["state"];
  readonly liveness_state_reason?: string;
  readonly liveness_expected_kernel_state?: "present" | "absent" | "unknown";
  readonly liveness_peer_mode?: SessionSnapshot["peer_mode"];
  readonly peer_client_version?: string;
}

/** Answers `GET /routes`: wanted routes with what the kernel has, then the kernel's others. */
export async function referenceRoutes(context: ApiContext): Promise<Response> {
  const listed = await context.kernelRoutes();
  if (!listed.ok) {
    throw new ApiProblem(503, `the kernel did not list its routes: ${listed.error.text}`);
  }
  const kernel = await indexKernel(context, listed.routes);
  const sessions = await indexSessions(context);
  const rows: ReferenceRoute[] = [];
  for await (const slice of slices(context.manager.routes(), context.pause)) {
    for (const route of slice) {
      const present = kernel.delete(identity(route));
      const session = sessions.get(`${route.dev} ${route.src} ${route.probe}`);
      rows.push(wantedRow(route, session, present));
    }
  }
  for await (const slice of slices(kernel.values(), context.pause)) {
    rows.push(...slice.map(kernelRow));
  }
  const sorted = await sortInSlices(rows, compare, context.pause);
  return new Response(jsonArrayBody(sorted, context.pause), {
    headers: { "content-type": "application/json" },
  });
}

async function indexKernel(
  context: ApiContext,
  routes: Iterable<KernelRoute>,
): Promise<Map<string, KernelRoute>> {
  const index = new Map<string, KernelRoute>();
  for await (const slice of slices(routes, context.pause)) {
    for (const route of slice) index.set(identity(route), route);
  }
  return index;
}

async function indexSessions(context: ApiContext): Promise<Map<string, SessionSnapshot>> {
  const index = new Map<string, SessionSnapshot>();
  for await (const slice of slices(context.manager.sessions(), context.pause)) {
    for (const session of slice) {
      index.set(`${session.dev} ${session.src} ${session.peer}`, session);
    }
  }
  return index;
}

function identity(route: Pick<KernelRoute, "table" | "dst" | "via" | "src">): string {
  return `${route.table} ${route.dst} ${route.via ?? "-"} ${route.src ?? "-"}`;
}

function wantedRow(
  route: RouteSnapshot,
  session: SessionSnapshot | undefined,
  present: boolean,
): ReferenceRoute {
  return {
    network: route.dst,
    local_ip: route.src,
    peer_ip: route.probe,
    kernel_state: present ? "present" : "absent",
    ...(session === undefined ? {} : livenessFields(session)),
    liveness_expected_kernel_state: route.excluded
      ? "unknown"
      : route.desired
      ? "present"
      : "absent",
  };
}

function livenessFields(session: SessionSnapshot): Partial<ReferenceRoute> {
  const down = session.state === "down" || session.state === "admin_down";
  return {
    liveness_last_updated: wholeSeconds(session.since),
    liveness_state: session.state,
    ...(down && session.reason !== null ? { liveness_state_reason: session.reason } : {}),
    liveness_peer_mode: session.peer_mode,
    peer_client_version: session.peer_client_version,
  };
}

function kernelRow(route: KernelRoute): ReferenceRoute {
  const [address = route.dst] = route.dst.split("/");
  return {
    network: route.dst,
    local_ip: route.src ?? "",
    peer_ip: address,
    kernel_state: "present",
  };
}

/** The reference writes times without a fraction. */
function wholeSeconds(time: string): string {
  return time.replace(/\.\d+Z$/, "Z");
}

function compare(a: ReferenceRoute, b: ReferenceRoute): number {
  return compareText(a.network, b.network) || compareText(a.local_ip, b.local_ip) ||
    compareText(a.peer_ip, b.peer_ip);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Merge sort from the bottom up, with a pause after every few thousand items moved. Stable. */
export async function sortInSlices<T>(
  items: readonly T[],
  compare: (a: T, b: T) => number,
  pause: () => Promise<void>,
): Promise<T[]> {
  const RUN = 2_048;
  let from: T[] = [];
  for (let start = 0; start < items.length; start += RUN) {
    from.push(...items.slice(start, start + RUN).sort(compare));
    await pause();
  }
  for (let width = RUN; width < from.length; width *= 2) {
    const to: T[] = [];
    for (let start = 0; start < from.length; start += 2 * width) {
      const middle = Math.min(start + width, from.length);
      const end = Math.min(start + 2 * width, from.length);
      let [a, b] = [start, middle];
      while (a < middle || b < end) {
        const takeA = b === end || (a < middle && compare(from[a]!, from[b]!) <= 0);
        to.push(from[takeA ? a++ : b++]!);
        if (to.length % (2 * RUN) === 0) await pause();
      }
    }
    from = to;
  }
  return from;
}
