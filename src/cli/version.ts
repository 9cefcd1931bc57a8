import project from "../../deno.json" with { type: "json" };

/** The program's version, `MAJOR.MINOR.PATCH[-channel]`; the one place that says it is deno.json. */
export const VERSION: string = project.version;
