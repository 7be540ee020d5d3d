/**
 * Keys of a terminal in raw mode: what it sends, as names.
 *
 * Pure.
 *
 * @module
 */

/** A key by its name, or a printable character as it is. */
export type Key = string;

const sequences: readonly (readonly [string, Key])[] = [
  ["\x1b[A", "up"],
  ["\x1bOA", "up"],
  ["\x1b[B", "down"],
  ["\x1bOB", "down"],
  ["\x1b[5~", "page-up"],
  ["\x1b[6~", "page-down"],
  ["\x1b[H", "home"],
  ["\x1bOH", "home"],
  ["\x1b[1~", "home"],
  ["\x1b[F", "end"],
  ["\x1bOF", "end"],
  ["\x1b[4~", "end"],
  ["\r", "enter"],
  ["\n", "enter"],
  ["\x7f", "backspace"],
  ["\b", "backspace"],
  ["\x03", "interrupt"],
  ["\x04", "interrupt"],
];

const escapeCharacter = "\x1b";

/** What follows the escape in a sequence of which nothing is known: skipped as a whole. */
const unknownSequence = /^(?:\[[0-9;?]*[ -/]*[@-~]|O.)/;

/** The keys of one piece of input. A lone escape is the key of that name. */
export function keysOf(input: string): readonly Key[] {
  const keys: Key[] = [];
  for (let rest = input; rest !== ""; ) {
    const [sequence, key] = sequences.find(([one]) => rest.startsWith(one)) ?? ["", ""];
    if (key !== "") {
      keys.push(key);
      rest = rest.slice(sequence.length);
      continue;
    }
    const unknown = rest.startsWith(escapeCharacter) ? unknownSequence.exec(rest.slice(1))?.[0] : undefined;
    if (unknown !== undefined) {
      rest = rest.slice(escapeCharacter.length + unknown.length);
      continue;
    }
    const [character = ""] = rest;
    if (character === escapeCharacter) {
      keys.push("escape");
    } else if (character >= " ") {
      keys.push(character);
    }
    rest = rest.slice(character.length);
  }
  return keys;
}
