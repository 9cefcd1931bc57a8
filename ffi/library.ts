/**
 * Opening shared libraries. Nothing is opened when a file is imported: a program that never touches
 * the kernel runs without any of them.
 */

/** What to install for a library, by distribution. */
export interface Packages {
  readonly debian: string;
  readonly fedora: string;
  readonly alpine: string;
}

/** A library that this host does not have, or has without what we need of it. */
export class MissingLibrary extends Error {
  override readonly name = "MissingLibrary";

  /**
   * @param library the file name asked for, e.g. `libnl-3.so.200`
   * @param packages where it comes from
   * @param reason what the dynamic loader said
   */
  constructor(readonly library: string, readonly packages: Packages, readonly reason: string) {
    super(
      `${library} cannot be loaded (${reason}). Install the package that brings it: ` +
        `${packages.debian} on Debian and Ubuntu (apt install ${packages.debian}), ` +
        `${packages.fedora} on Fedora, ${packages.alpine} on Alpine.`,
    );
  }
}

/**
 * Opens a library by the name that the dynamic loader searches for.
 *
 * @throws {MissingLibrary} when it cannot be loaded or lacks one of the symbols
 * @throws {Deno.errors.NotCapable} when the program may not use FFI at all
 */
export function openLibrary<const S extends Deno.ForeignLibraryInterface>(
  library: string,
  symbols: S,
  packages: Packages,
): Deno.DynamicLibrary<S> {
  try {
    return Deno.dlopen(library, symbols);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new MissingLibrary(library, packages, loaderReason(error, library));
  }
}

/** The loader's words without what the message around them says already. */
function loaderReason(error: unknown, library: string): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll("Could not open library: ", "").replace(`${library}: `, "").trim();
}
