import { processIo } from "./src/cli/io.ts";
import { main } from "./src/cli/program.ts";

if (import.meta.main) Deno.exit(await main(Deno.args, processIo()));
