/**
 * How commands end: an exit status, or an error that is one line on standard error.
 *
 * @module
 */

/** A command cannot do what it was asked for. The message is one line. */
export class CommandError extends Error {
  override readonly name: string = "CommandError";
  /** 1: it failed; 2: it was asked for something impossible and touched nothing. */
  readonly exitStatus: 1 | 2;

  constructor(exitStatus: 1 | 2, message: string, options: { readonly cause?: unknown } = {}) {
    super(message.replaceAll(/\s*[\r\n]+\s*/g, " "), options);
    this.exitStatus = exitStatus;
  }
}
