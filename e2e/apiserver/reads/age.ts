/**
 * Ages as kubectl prints them: two units at most, the coarser the older.
 *
 * @module
 */

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

/**
 * The time since a moment, such as `45s`, `3m20s`, `5h`, `12d`.
 *
 * @param moment RFC 3339; empty or unreadable gives `<unknown>`
 * @param now milliseconds since the epoch
 */
export function formatAge(moment: string, now: number): string {
  const then = Date.parse(moment);
  if (Number.isNaN(then)) return "<unknown>";
  const seconds = Math.floor((now - then) / 1_000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 2 * minute) return `${seconds}s`;
  if (seconds < 10 * minute) return withRest(seconds, minute, "m", 1, "s");
  if (seconds < 3 * hour) return `${Math.floor(seconds / minute)}m`;
  if (seconds < 8 * hour) return withRest(seconds, hour, "h", minute, "m");
  if (seconds < 2 * day) return `${Math.floor(seconds / hour)}h`;
  if (seconds < 8 * day) return withRest(seconds, day, "d", hour, "h");
  if (seconds < 2 * year) return `${Math.floor(seconds / day)}d`;
  if (seconds < 8 * year) return withRest(seconds, year, "y", day, "d");
  return `${Math.floor(seconds / year)}y`;
}

function withRest(seconds: number, unit: number, letter: string, part: number, partLetter: string): string {
  const whole = `${Math.floor(seconds / unit)}${letter}`;
  const rest = Math.floor((seconds % unit) / part);
  return rest === 0 ? whole : `${whole}${rest}${partLetter}`;
}
