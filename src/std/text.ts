// The standard library's edit distance. The npm republication carries no types; they are declared beside.
// @ts-types="./text.d.ts"
export * from "npm:deno-std@1.4.0/text/levenshtein_distance.js";
