/**
 * Log lines in klog's text format, which log shippers of Kubernetes clusters parse.
 *
 * `I1121 10:00:00.123000    4711 iptables:0] "Sync complete" services=12 elapsed="4ms"`. The head is severity, month
 * and day, time, process and place; the place is a component and the line number always 0, because the lines of a
 * bundled program mean nothing to anybody, while the patterns of the shippers insist on a number. Times are UTC.
 *
 * Pure. A line stays one line whatever is in it.
 *
 * @module
 */

/** A log entry as it comes out of the logger. */
export interface LogEntry {
  readonly level: "error" | "warning" | "info";
  /** Unix time in milliseconds. */
  readonly ts: number;
  /** Verbosity of an `info` entry; not shown in text. */
  readonly v?: number;
  readonly caller: string;
  readonly msg: string;
  /** Everything else, in the order in which it is shown. */
  readonly [field: string]: unknown;
}

const severities: Readonly<Record<LogEntry["level"], string>> = { error: "E", warning: "W", info: "I" };

/** One line, newline included. `pid` is the process that logs. */
export function formatTextLine(entry: LogEntry, pid: number): string {
  const { level, ts, v: _, caller, msg, ...fields } = entry;
  const [date = "", time = ""] = new Date(ts).toISOString().slice(5, -1).split("T");
  const head = `${severities[level]}${date.replace("-", "")} ${time}000 ${String(pid).padStart(7)} ${caller}]`;
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  return `${head} ${JSON.stringify(msg)}${pairs.join("")}\n`;
}
