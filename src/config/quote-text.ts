/**
 * Text from outside, quoted for an error message or a log line.
 *
 * @module
 */

const MAX_QUOTED_LENGTH = 200;

/**
 * `text` in double quotes with everything that could break a line or a terminal escaped; long text is cut, with an
 * ellipsis after the closing quote. For ordinary text this equals Go's `%q`.
 */
export function quoteText(text: string): string {
  const cut = text.length > MAX_QUOTED_LENGTH;
  const quoted = JSON.stringify(cut ? text.slice(0, MAX_QUOTED_LENGTH) : text);
  // JSON leaves DEL, the C1 controls and the Unicode line separators as they are.
  const safe = quoted.replaceAll(/[\u007f-\u009f\u2028\u2029\ufeff]/g, escapeCharacter);
  return cut ? `${safe}…` : safe;
}

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
