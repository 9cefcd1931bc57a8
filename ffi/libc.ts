/** The C library's socket calls, declared once. */
import { openLibrary } from "./library.ts";

const SYMBOLS = {
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "u32"], // int fd, int level, int name, const void *, socklen_t
    result: "i32",
  },
  getsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "buffer"], // int fd, int level, int name, void *, socklen_t *
    result: "i32",
  },
  getsockname: {
    parameters: ["i32", "buffer", "buffer"], // int fd, struct sockaddr *, socklen_t *
    result: "i32",
  },
  recvmmsg: {
    parameters: ["i32", "buffer", "u32", "i32", "pointer"], // int fd, struct mmsghdr *, unsigned, int flags, struct timespec *
    result: "i32",
    optional: true,
  },
  sendmmsg: {
    parameters: ["i32", "buffer", "u32", "i32"], // int fd, struct mmsghdr *, unsigned, int flags
    result: "i32",
    optional: true,
  },
  poll: {
    parameters: ["buffer", "u64", "i32"], // struct pollfd *, nfds_t, int timeout
    result: "i32",
  },
  epoll_ctl: {
    parameters: ["i32", "i32", "i32", "buffer"], // int epfd, int op, int fd, struct epoll_event *
    result: "i32",
  },
  ioctl: {
    parameters: ["i32", "u64", "buffer"], // int fd, unsigned long request, void *
    result: "i32",
  },
  if_nametoindex: { parameters: ["buffer"], result: "u32" }, // const char *
  dup: { parameters: ["i32"], result: "i32" }, // int fd
  close: { parameters: ["i32"], result: "i32" }, // int fd
  madvise: {
    parameters: ["pointer", "usize", "i32"], // void *, size_t length, int advice
    result: "i32",
  },
  malloc_trim: { parameters: ["usize"], result: "i32", optional: true }, // size_t pad; glibc's own
  geteuid: { parameters: [], result: "u32" },
  __errno_location: { parameters: [], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;

type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** Without both of them packets move one by one, through the runtime. */
type Batched = { readonly [K in "recvmmsg" | "sendmmsg"]: NonNullable<Symbols[K]> };

export interface Libc extends Omit<Symbols, keyof Batched>, Batched {
  /** Whether this C library has `recvmmsg` and `sendmmsg`; if not, they must not be called. */
  readonly batches: boolean;
  /**
   * The calling thread's errno. Right only when read at once after the call, with no allocation in
   * between: the runtime makes system calls of its own.
   */
  errno(): number;
}

let opened: Libc | undefined;

/**
 * The C library, opened at the first call.
 *
 * @throws {MissingLibrary} when neither glibc nor musl is found
 */
export function libc(): Libc {
  return opened ??= open();
}

function open(): Libc {
  const packages = { debian: "libc6", fedora: "glibc", alpine: "musl" };
  const { symbols } = openLibrary("libc.so.6", SYMBOLS, packages);
  const location = new Deno.UnsafePointerView(symbols.__errno_location()!);
  const { recvmmsg, sendmmsg } = symbols;
  return {
    ...symbols,
    recvmmsg: recvmmsg!,
    sendmmsg: sendmmsg!,
    batches: Boolean(recvmmsg && sendmmsg),
    errno: () => location.getInt32(),
  };
}
