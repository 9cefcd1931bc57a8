import type { KernelError, KernelErrorCode } from "./kernel.ts";

/** Linux error numbers (asm-generic) that the kernel room tells apart. */
export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  EHOSTUNREACH: 113,
} as const;

const codes: ReadonlyMap<number, KernelErrorCode> = new Map([
  [errno.EEXIST, "exists"],
  [errno.ESRCH, "not_found"],
  [errno.ENOENT, "not_found"],
  [errno.ENETUNREACH, "unreachable"],
  [errno.EHOSTUNREACH, "unreachable"],
  [errno.ENODEV, "no_device"],
  [errno.ENETDOWN, "no_device"],
  [errno.EPERM, "permission"],
  [errno.EACCES, "permission"],
  [errno.EINVAL, "invalid"],
  [errno.ENOBUFS, "busy"],
  [errno.ENOMEM, "busy"],
  [errno.EAGAIN, "busy"],
  [errno.EBUSY, "busy"],
]);

/** The kernel's extended text for a next hop that no on-link route covers. */
const INVALID_GATEWAY = "Nexthop has invalid gateway";

/**
 * Makes the error value for what the kernel answered.
 *
 * @param number the kernel's errno, positive
 * @param libraryText libnl's text for it
 * @param kernelText the kernel's extended acknowledgement text, or ""
 */
export function kernelError(number: number, libraryText: string, kernelText = ""): KernelError {
  const gateway = number === errno.EINVAL && kernelText.includes(INVALID_GATEWAY);
  return {
    code: gateway ? "unreachable" : codes.get(number) ?? "other",
    errno: number,
    text: kernelText === "" ? libraryText : `${libraryText}: ${kernelText}`,
  };
}

/** What every request answers once the kernel object is closed. */
export const closedError: KernelError = {
  code: "closed",
  errno: 0,
  text: "the connection to the kernel is closed",
};

/** A request that cannot be put into a message: it never reaches the kernel. */
export function invalidRequest(text: string): KernelError {
  return { code: "invalid", errno: 0, text };
}

/** A request whose fate is unknown or that found no room; asking again soon may help. */
export function busyRequest(text: string): KernelError {
  return { code: "busy", errno: 0, text };
}

/** Whether a refusal counts as a failure: a delete that finds nothing there to delete does not. */
export function isFailure(kind: string, { code }: KernelError): boolean {
  return code !== "not_found" || (kind !== "delete" && kind !== "deleteRule");
}
