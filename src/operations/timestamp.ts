/**
 * RFC 3339 timestamps as the Kubernetes API and Go programs write them.
 *
 * Written: UTC, fraction without trailing zeros, the year 1 for "never" (Go's zero time, which health bodies show
 * before the first sync). Read: any offset, any number of fraction digits, of which the milliseconds count.
 *
 * Pure.
 *
 * @module
 */

/** Go's zero time: what "never" looks like in a health body. */
const zeroTime = "0001-01-01T00:00:00Z";

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** `2026-11-21T10:00:00.1Z` for milliseconds since the Unix epoch, the zero time for undefined. */
export function formatTimestamp(wallMs: number | undefined): string {
  if (wallMs === undefined) {
    return zeroTime;
  }
  return new Date(wallMs).toISOString().replace(/\.?0*Z$/, "Z");
}

/**
 * Milliseconds since the Unix epoch, or undefined when the text is no RFC 3339 time.
 *
 * `Date.parse` alone would take February 30th and 24 o'clock, which the API's own parser refuses.
 */
export function parseTimestamp(text: string): number | undefined {
  const match = rfc3339.exec(text);
  if (match === null) {
    return undefined;
  }
  const [year = 0, month = 0, day = 0, hour = 0] = match.slice(1).map(Number);
  const daysInMonth = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const wallMs = Date.parse(text);
  return day > daysInMonth || hour > 23 || Number.isNaN(wallMs) ? undefined : wallMs;
}
