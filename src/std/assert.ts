// The standard library's assertions. The npm republication carries no types; they are declared beside.
// @ts-types="./assert.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
