/** Exit statuses (spec "Command line"). */
export const Exit = { done: 0, failed: 1, usage: 2, noDaemon: 3 } as const;

/** Ends a command with a message on standard error and an exit status. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly status: number;
  /** The message speaks for itself, as `FILE:LINE: …` does: the program's name is not put before it. */
  readonly bare: boolean;

  constructor(status: number, message: string, { bare = false } = {}) {
    super(message);
    this.status = status;
    this.bare = bare;
  }
}
