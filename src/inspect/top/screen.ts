/**
 * From one page to the next on a terminal: only lines that differ are written, as one update, so that nothing flickers.
 *
 * Pure.
 *
 * @module
 */

/** Switches to a screen of its own, without a cursor. */
export const enterScreen = "\x1b[?1049h\x1b[?25l\x1b[2J";

/** Gives the terminal back as it was. */
export const leaveScreen = "\x1b[?25h\x1b[?1049l";

/** Terminals that know it show nothing between the two (DEC private mode 2026); the others skip it. */
const beginUpdate = "\x1b[?2026h";
const endUpdate = "\x1b[?2026l";

/** What turns the page that is shown into the next one; `""` when they are the same. Undefined: nothing is shown yet. */
export function repaint(shown: readonly string[] | undefined, next: readonly string[]): string {
  const changed = next
    .map((line, index) => (line === shown?.[index] ? "" : `\x1b[${index + 1};1H${line}\x1b[K`))
    .join("");
  return changed === "" ? "" : beginUpdate + changed + endUpdate;
}
