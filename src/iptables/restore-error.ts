/**
 * What iptables-restore says when it fails, as a value.
 *
 * @module
 */

/** Why a restore failed. */
export type RestoreErrorCode =
  /** A line was refused: by the tool, or by the kernel at commit. */
  | "rejected"
  /** Neither the line nor its Service is to blame (a lock, memory): the same input may succeed next time. */
  | "busy"
  /** The tool could not be started. */
  | "unavailable"
  /** The tool ended without a reason that we know, or was killed. */
  | "died";

/** A failed restore. Nothing of the failed table is in the kernel; earlier tables of the input may be. */
export class RestoreError extends Error {
  override readonly name: string = "RestoreError";
  readonly code: RestoreErrorCode;
  /** The refused line of the input, counted from 1; undefined when the tool did not name it. */
  readonly line: number | undefined;

  constructor(code: RestoreErrorCode, message: string, line?: number, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
    this.line = line;
  }
}

/** Whether the error is a {@link RestoreError}, of one code if given. */
export function isRestoreError(error: unknown, code?: RestoreErrorCode): error is RestoreError {
  return error instanceof RestoreError && (code === undefined || error.code === code);
}

const maximumMessageLength = 600;

/** What passes by itself: the lock is held, or the kernel (or the control group) has no memory just now. */
const passing =
  /xtables lock|Resource temporarily unavailable|Cannot allocate memory|Memory allocation problem|No buffer space/;

/**
 * Reads the error output of iptables-restore 1.8, legacy and nft.
 *
 * The tool prints a usage hint after some errors; it and the bare "Error occurred at line" say nothing to a person
 * and are left out of the message when there is anything better.
 *
 * @param stderr everything the process printed to standard error
 * @param exitCode null when it was ended by a signal
 * @param linesBefore lines that the process had read before the input in question; its own count includes them
 */
export function restoreErrorOf(stderr: string, exitCode: number | null, linesBefore: number): RestoreError {
  const text = stderr.trim();
  const line = failedLine(text);
  const relative = line === undefined || line <= linesBefore ? undefined : line - linesBefore;
  const lines = text.split("\n").map((one) => one.trim());
  const telling = lines.filter((one) => one !== "" && !/^(Try `|Error occurred at line)/.test(one));
  const words = (telling.length > 0 ? telling : lines).join("; ").slice(0, maximumMessageLength);
  const message = words === "" ? `iptables-restore ended with ${exitCode ?? "a signal"}` : words;
  if (passing.test(text)) {
    return new RestoreError("busy", message, relative);
  }
  return new RestoreError(line !== undefined ? "rejected" : "died", message, relative);
}

function failedLine(text: string): number | undefined {
  const match = /Error occurred at line: ([1-9][0-9]*)/.exec(text) ?? /line:? ([1-9][0-9]*)/.exec(text);
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 10);
}
