// The standard library's terminal colours. The npm republication carries no types; they are declared beside.
// @ts-types="./colors.d.ts"
export * from "npm:deno-std@1.4.0/fmt/colors.js";
