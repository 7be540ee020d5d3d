/**
 * The lines that the daemon logs after each sync and after each audit, read back.
 *
 * Pure.
 *
 * @module
 */

/** One successful sync. */
export interface SyncLine {
  /** When the line arrived here, on the clock of `performance.now()`. */
  readonly at: number;
  readonly family: string;
  /** From the sync's beginning to the kernel's confirmation. */
  readonly elapsedMs: number;
  /** The part of it before anything was rendered. */
  readonly planningMs: number;
  /** Services whose plan differed. */
  readonly changed: number;
  /** Chains written, or virtual servers, real servers, entries of sets and addresses; and removed. */
  readonly written: number;
  readonly removed: number;
  readonly bytes: number;
}

/** Reads a line of the daemon's log in JSON. Undefined for any other line. */
export function syncLine(line: string, at: number): SyncLine | undefined {
  if (!line.includes("SyncProxyRules complete")) {
    return undefined;
  }
  const fields = JSON.parse(line);
  return {
    at,
    family: String(fields.ipFamily),
    elapsedMs: milliseconds(fields.elapsed),
    planningMs: milliseconds(fields.planning),
    changed: Number(fields.changed),
    written: Number(fields.written),
    removed: Number(fields.removed),
    bytes: Number(fields.bytes),
  };
}

/** How long an audit of IPv4 took, in milliseconds, by its line of the log. Undefined for any other line. */
export function auditLine(line: string): number | undefined {
  if (!line.includes("Compared the kernel with what is known of it")) {
    return undefined;
  }
  const fields = JSON.parse(line);
  return fields.ipFamily === "IPv4" ? milliseconds(fields.elapsed) : undefined;
}

function milliseconds(text: unknown): number {
  const value = /^([\d.]+)ms$/.exec(String(text))?.[1];
  if (value === undefined) {
    throw new SyntaxError(`Cannot read the daemon's log: must be milliseconds, got ${JSON.stringify(text)}`);
  }
  return Number(value);
}
