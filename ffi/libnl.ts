/**
 * Symbol tables of libnl 3 (LGPL-2.1, loaded at run time): the C declaration's parameter names stand
 * beside each parameter. Only ffi/netlink.ts calls these.
 */

import { openLibrary } from "./library.ts";

const core = {
  // Sockets
  nl_socket_alloc: { parameters: [], result: "pointer" },
  nl_socket_free: { parameters: ["pointer" /* sk */], result: "void" },
  nl_connect: { parameters: ["pointer", /* sk */ "i32" /* protocol */], result: "i32" },
  nl_socket_get_fd: { parameters: ["pointer" /* sk */], result: "i32" },
  nl_socket_get_local_port: { parameters: ["pointer" /* sk */], result: "u32" },
  nl_socket_set_buffer_size: {
    parameters: ["pointer", /* sk */ "i32", /* rxbuf */ "i32" /* txbuf */],
    result: "i32",
  },
  nl_socket_add_membership: {
    parameters: ["pointer", /* sk */ "i32" /* group */],
    result: "i32",
  },
  nl_sendto: {
    parameters: ["pointer", /* sk */ "buffer", /* buf */ "usize" /* size */],
    result: "i32",
  },
  nl_sendto_in_thread: {
    name: "nl_sendto",
    parameters: ["pointer", /* sk */ "buffer", /* buf */ "usize" /* size */],
    result: "i32",
    nonblocking: true,
  },
  // Errors
  nl_geterror: { parameters: ["i32" /* error */], result: "pointer" },
  nl_syserr2nlerr: { parameters: ["i32" /* error */], result: "i32" },
  // Messages
  nlmsg_alloc_simple: { parameters: ["i32", /* nlmsgtype */ "i32" /* flags */], result: "pointer" },
  nlmsg_append: {
    parameters: ["pointer", /* msg */ "buffer", /* data */ "usize", /* len */ "i32" /* pad */],
    result: "i32",
  },
  nla_put_u32: {
    parameters: ["pointer", /* msg */ "i32", /* attrtype */ "u32" /* value */],
    result: "i32",
  },
  nlmsg_hdr: { parameters: ["pointer" /* msg */], result: "pointer" },
  nlmsg_free: { parameters: ["pointer" /* msg */], result: "void" },
  // Addresses
  nl_addr_build: {
    parameters: ["i32", /* family */ "buffer", /* addr */ "usize" /* size */],
    result: "pointer",
  },
  nl_addr_set_prefixlen: { parameters: ["pointer", /* addr */ "i32" /* len */], result: "void" },
  nl_addr_put: { parameters: ["pointer" /* addr */], result: "void" },
  // libc, which libnl brings along: the loader searches a library's dependencies too, and so the
  // C library's file name, which differs between glibc and musl, need not be known.
  recv: {
    parameters: ["i32", /* fd */ "buffer", /* buf */ "usize", /* len */ "i32" /* flags */],
    result: "isize",
  },
  recv_in_thread: {
    name: "recv",
    parameters: ["i32", /* fd */ "buffer", /* buf */ "usize", /* len */ "i32" /* flags */],
    result: "isize",
    nonblocking: true,
  },
  poll_in_thread: {
    name: "poll",
    parameters: ["buffer", /* struct pollfd *fds */ "u64", /* nfds */ "i32" /* timeout, ms */],
    result: "i32",
    nonblocking: true,
  },
  eventfd: { parameters: ["u32", /* initval */ "i32" /* flags */], result: "i32" },
  eventfd_write: { parameters: ["i32", /* fd */ "u64" /* value */], result: "i32" },
  close: { parameters: ["i32" /* fd */], result: "i32" },
  setsockopt: {
    parameters: [
      "i32", /* fd */
      "i32", /* level */
      "i32", /* optname */
      "buffer", /* optval */
      "u32", /* optlen */
    ],
    result: "i32",
  },
  if_nametoindex: { parameters: ["buffer" /* ifname */], result: "u32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

const route = {
  // Routes
  rtnl_route_alloc: { parameters: [], result: "pointer" },
  rtnl_route_put: { parameters: ["pointer" /* route */], result: "void" },
  rtnl_route_set_table: { parameters: ["pointer", /* route */ "u32" /* table */], result: "void" },
  rtnl_route_set_protocol: {
    parameters: ["pointer", /* route */ "u8" /* protocol */],
    result: "void",
  },
  rtnl_route_set_priority: {
    parameters: ["pointer", /* route */ "u32" /* prio */],
    result: "void",
  },
  rtnl_route_set_dst: { parameters: ["pointer", /* route */ "pointer" /* addr */], result: "i32" },
  rtnl_route_set_pref_src: {
    parameters: ["pointer", /* route */ "pointer" /* addr */],
    result: "i32",
  },
  rtnl_route_nh_alloc: { parameters: [], result: "pointer" },
  rtnl_route_nh_set_gateway: {
    parameters: ["pointer", /* nh */ "pointer" /* addr */],
    result: "void",
  },
  rtnl_route_nh_set_ifindex: {
    parameters: ["pointer", /* nh */ "i32" /* ifindex */],
    result: "void",
  },
  rtnl_route_add_nexthop: {
    parameters: ["pointer", /* route */ "pointer" /* nh */],
    result: "void",
  },
  rtnl_route_build_add_request: {
    parameters: ["pointer", /* tmpl */ "i32", /* flags */ "buffer" /* struct nl_msg **result */],
    result: "i32",
  },
  rtnl_route_build_del_request: {
    parameters: ["pointer", /* tmpl */ "i32", /* flags */ "buffer" /* struct nl_msg **result */],
    result: "i32",
  },
  // Rules
  rtnl_rule_alloc: { parameters: [], result: "pointer" },
  rtnl_rule_put: { parameters: ["pointer" /* rule */], result: "void" },
  rtnl_rule_set_family: { parameters: ["pointer", /* rule */ "i32" /* family */], result: "void" },
  rtnl_rule_set_prio: { parameters: ["pointer", /* rule */ "u32" /* prio */], result: "void" },
  rtnl_rule_set_mark: { parameters: ["pointer", /* rule */ "u32" /* mark */], result: "void" },
  rtnl_rule_set_table: { parameters: ["pointer", /* rule */ "u32" /* table */], result: "void" },
  rtnl_rule_set_action: { parameters: ["pointer", /* rule */ "u8" /* action */], result: "void" },
  rtnl_rule_set_protocol: {
    parameters: ["pointer", /* rule */ "u8" /* protocol */],
    result: "i32",
  },
  rtnl_rule_build_add_request: {
    parameters: ["pointer", /* tmpl */ "i32", /* flags */ "buffer" /* struct nl_msg **result */],
    result: "i32",
  },
  rtnl_rule_build_delete_request: {
    parameters: ["pointer", /* rule */ "i32", /* flags */ "buffer" /* struct nl_msg **result */],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** Both libraries, open. They stay open as long as the process: libnl keeps state of its own. */
export interface Libnl {
  readonly core: Deno.DynamicLibrary<typeof core>["symbols"];
  readonly route: Deno.DynamicLibrary<typeof route>["symbols"];
}

let opened: Libnl | undefined;

/**
 * Opens libnl-3 and libnl-route-3, once.
 *
 * @throws {MissingLibrary} naming the library and its package
 */
export function openLibnl(): Libnl {
  opened ??= {
    core: openLibrary("libnl-3.so.200", core, {
      debian: "libnl-3-200",
      fedora: "libnl3",
      alpine: "libnl3",
    }).symbols,
    route: openLibrary("libnl-route-3.so.200", route, {
      debian: "libnl-route-3-200",
      fedora: "libnl3",
      alpine: "libnl3",
    }).symbols,
  };
  return opened;
}
