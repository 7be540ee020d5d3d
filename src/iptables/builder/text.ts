/**
 * What may stand in a line of iptables-restore input: names, quoted words, and the split of a line into words.
 *
 * The input is line-based and words are separated by blanks, so a name that came from outside and holds a blank, a quote
 * or a newline could add options or whole commands. Every name and comment is checked here before it is written; a
 * refused one gives a RangeError that says which field it was.
 *
 * @module
 */

/** The longest chain name: XT_EXTENSION_MAXNAMELEN (29) of linux/netfilter/x_tables.h with its final zero. */
export const maxChainNameLength = 28;

/** The longest comment: XT_MAX_COMMENT_LEN (256) of linux/netfilter/xt_comment.h with its final zero. */
export const maxCommentBytes = 255;

/** Printable ASCII without blank, quotes and backslash, beginning with neither `-` nor `!`. */
const plainWord = /^(?![-!])[!#-&(-[\]-~]+$/;

/** Words of this form are printed without quotes by iptables-save (xtables_save_string). */
const unquotedWord = /^[A-Za-z0-9_-]+$/;

const hostileInComment = /["'\\\p{Cc}]/u;

const hostileInLine = /\p{Cc}/u;

/**
 * The name, if it can stand as one bare word in the input.
 *
 * @throws {RangeError} when it is empty, longer than `maxLength`, or holds blanks, quotes, backslashes, control or
 * non-ASCII characters, or begins like an option.
 */
export function checkName(field: string, name: string, maxLength: number): string {
  if (!plainWord.test(name) || name.length > maxLength) {
    throw new RangeError(
      `Cannot render ${field} ${quoteForMessage(name)}: must be 1 to ${maxLength} printable ASCII characters ` +
        "without blanks, quotes and backslashes, not beginning with - or !",
    );
  }
  return name;
}

/** {@link checkName} for the name of a chain. */
export function checkChainName(name: string): string {
  return checkName("chain name", name, maxChainNameLength);
}

/**
 * The comment as iptables-save prints it: in double quotes unless it consists of letters, digits, `_` and `-`.
 *
 * @throws {RangeError} for text that has a {@link commentProblem}.
 */
export function renderComment(text: string): string {
  const problem = commentProblem(text);
  if (problem !== undefined) {
    throw new RangeError(`Cannot render comment ${quoteForMessage(text)}: ${problem}`);
  }
  return quoteWord(text);
}

/** Why the text cannot be a comment: the kernel would cut it or it would need escapes. Undefined when it can. */
export function commentProblem(text: string): string | undefined {
  if (hostileInComment.test(text) || !text.isWellFormed()) {
    return "must not contain quotes, backslashes or control characters";
  }
  // A UTF-16 unit takes at most three bytes of UTF-8, so that most comments need not be encoded to be measured.
  if (text.length * 3 > maxCommentBytes && new TextEncoder().encode(text).length > maxCommentBytes) {
    return `longer than ${maxCommentBytes} bytes in UTF-8`;
  }
  return undefined;
}

/** The word as iptables-save prints strings; for text without quotes and backslashes only. */
export function quoteWord(text: string): string {
  return unquotedWord.test(text) ? text : `"${text}"`;
}

/**
 * Raw text of matches or targets, unchanged.
 *
 * @throws {RangeError} when it is empty, has control characters (a newline would begin another command) or an open quote.
 */
export function checkRawText(field: string, text: string): string {
  if (text === "" || hostileInLine.test(text) || !text.isWellFormed() || splitWords(text) === undefined) {
    throw new RangeError(
      `Cannot render ${field} ${quoteForMessage(text)}: must be one line without control characters and open quotes`,
    );
  }
  return text;
}

/**
 * The blank-separated words of a line, quotes kept as they are, so that joining them with blanks gives an equivalent line.
 * Undefined when a quote is left open. Blanks in double quotes do not separate; `\` takes the next character literally
 * in quotes only (add_param_to_argv of iptables' xshared.c).
 */
export function splitWords(line: string): string[] | undefined {
  if (!line.includes('"')) {
    const words = line.split(" ");
    return words.includes("") || line.includes("\t")
      ? line.split(/[ \t]+/).filter((word) => word !== "")
      : words;
  }
  const words: string[] = [];
  let at = 0;
  while (at < line.length) {
    if (line[at] === " " || line[at] === "\t") {
      at++;
      continue;
    }
    const end = endOfWord(line, at);
    if (end < 0) {
      return undefined;
    }
    words.push(line.slice(at, end));
    at = end;
  }
  return words;
}

/** Where the word that begins at `start` ends, or -1 if a quote in it is left open. */
function endOfWord(line: string, start: number): number {
  let quoted = false;
  for (let at = start; at < line.length; at++) {
    const character = line[at];
    if (character === '"') {
      quoted = !quoted;
    } else if (quoted) {
      at += character === "\\" ? 1 : 0;
    } else if (character === " " || character === "\t") {
      return at;
    }
  }
  return quoted ? -1 : line.length;
}

/** The word without its quotes and escapes. */
export function unquote(word: string): string {
  const last = word.length - 1;
  if (last > 0 && word.indexOf('"') === 0 && word.indexOf('"', 1) === last && !word.includes("\\")) {
    return word.slice(1, last);
  }
  if (!word.includes('"')) {
    return word;
  }
  return word.replaceAll(/"((?:[^"\\]|\\.)*)"/g, (_, quoted: string) => quoted.replaceAll(/\\(.)/g, "$1"));
}

function quoteForMessage(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
