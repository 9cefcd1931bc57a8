/** What a run needs is compiled or found; and what the figures were measured on and with. */
import type { ContestantKey, Programs } from "./contestants.ts";
import { output, run } from "../tests/system/netns.ts";

/** Paths given on the command line. */
export interface Given {
  readonly livenessd?: string;
  readonly reference?: string;
  readonly frr?: string;
}

const TOOLS = ["ip", "taskset", "gcc", "sysctl", "nft", "bash"];

/** Compiles the C programs and livenessd, finds BIRD. Throws with the remedy when something lacks. */
export async function build(
  directory: string,
  root: string,
  contestants: readonly ContestantKey[],
  given: Given,
): Promise<Programs> {
  const needed = [...TOOLS, ...contestants.includes("bird") ? ["bird"] : []];
  const missing = needed.filter((name) => !found(name));
  if (missing.length > 0) {
    throw new Error(
      `not installed: ${missing.join(", ")}; run: apt-get install iproute2 util-linux procps ` +
        "nftables gcc libc6-dev bird2 (or leave bird out with --only)",
    );
  }
  for (const name of ["farside", "floor"]) {
    await run(["gcc", "-O2", "-o", `${directory}/${name}`, `${root}bench/${name}.c`]);
  }
  if (given.livenessd === undefined) await run([`${root}scripts/compile`, "--if-needed"]);
  return {
    livenessd: [given.livenessd ?? `${root}dist/livenessd`],
    bird: "bird",
    floor: `${directory}/floor`,
    farside: `${directory}/farside`,
    reference: given.reference ?? null,
    frr: given.frr ?? null,
  };
}

/** Compiles the sources in `root` with more flags for V8 than usual. */
export async function compile(root: string, directory: string, v8Flags: string): Promise<string> {
  const output = `${directory}/livenessd${v8Flags}`;
  await run([`${root}scripts/compile`, "--output", output, "--v8-flags", v8Flags]);
  return output;
}

function found(command: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${command}`).isFile;
    } catch {
      return false;
    }
  });
}

/** The machine and the versions. */
export async function machine(
  root: string,
  { livenessd, frr }: Programs,
): Promise<Record<string, string | number>> {
  const cpu = /^model name\s*: (.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1];
  const first = async (argv: readonly string[]) => {
    const said = await output(argv).catch(() => null);
    return (said?.stdout || said?.stderr || "not installed").trim().split("\n")[0]!;
  };
  return {
    cpu: cpu ?? "unknown",
    cores: navigator.hardwareConcurrency,
    kernel: Deno.osRelease(),
    livenessd: await first([...livenessd, "--version"]),
    commit: await first(["git", "-C", root, "rev-parse", "--short", "HEAD"]),
    bird: await first(["bird", "--version"]),
    ...(frr === null ? {} : { frr: await first([`${frr}/bfdd`, "--version"]) }),
  };
}
