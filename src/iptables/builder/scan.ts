/**
 * Reads the output of iptables-save (or input of iptables-restore) as a stream of lines.
 *
 * Nothing is kept and no rule is taken apart, so that a dump of any size passes in constant memory; who wants values
 * uses parse.ts on the lines of interest. Both variants and `iptables-save --counters` are understood.
 *
 * iptables-save prints a comment that holds a newline as it is, over two lines (seen in 1.8.9). Lines in a table that are no
 * command are therefore passed over: such a rule is cut off, and those around it are unharmed.
 *
 * @module
 */

const tableLine = /^\*\w+$/;

/** A command other than `-A`; only restore input has them. */
const otherCommand = /^-[A-Z] /;

/** What is called for the lines of a dump, in their order. Each part is optional. */
export interface SaveVisitor {
  /** `*nat` */
  table?(name: string): void;
  /** `:CHAIN ACCEPT [1:2]`; no policy for user chains. */
  chain?(name: string, policy: string | undefined): void;
  /** `-A CHAIN …`, the whole line without counters. */
  rule?(chain: string, line: string): void;
  /** `COMMIT` */
  commit?(): void;
  /** Any other line of a table: commands that only restore input has, such as `-X CHAIN`. */
  command?(line: string): void;
}

/** A scanner that text is pushed into, cut anywhere. */
export interface SaveScanner {
  /** Takes the next piece: text, or bytes in UTF-8. */
  push(chunk: string | Uint8Array): void;
  /**
   * Takes the end of the stream.
   *
   * @throws {SyntaxError} when a table has no COMMIT: the dump was cut short.
   */
  end(): void;
}

/** A scanner that reports to the visitor. A {@link SyntaxError} of `push` or `end` names the line. */
export function saveScanner(visitor: SaveVisitor): SaveScanner {
  const decoder = new TextDecoder();
  let rest = "";
  let lineNumber = 0;
  let table: string | undefined;
  const takeLine = (line: string): void => {
    lineNumber++;
    table = visitLine(visitor, line, table, lineNumber);
  };
  const takeText = (text: string): void => {
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      takeLine(rest === "" ? text.slice(from, end) : rest + text.slice(from, end));
      rest = "";
      from = end + 1;
    }
    rest += text.slice(from);
  };
  return {
    push: (chunk) => takeText(typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true })),
    end: () => {
      takeText(decoder.decode());
      if (rest !== "") {
        takeLine(rest);
        rest = "";
      }
      if (table !== undefined) {
        throw new SyntaxError(
          `Cannot read the dump: table ${table} has no COMMIT before its end at line ${lineNumber}`,
        );
      }
    },
  };
}

/**
 * Scans pieces of a dump that are all at hand. For a stream, push its chunks into a {@link saveScanner}.
 *
 * @throws {SyntaxError} for text outside of a table, and when the dump was cut short.
 */
export function scanSave(chunks: Iterable<string | Uint8Array>, visitor: SaveVisitor): void {
  const scanner = saveScanner(visitor);
  for (const chunk of chunks) {
    scanner.push(chunk);
  }
  scanner.end();
}

/** Reports the line and returns the table that is open after it. */
function visitLine(
  visitor: SaveVisitor,
  line: string,
  table: string | undefined,
  lineNumber: number,
): string | undefined {
  const first = line[0];
  if (first === undefined || first === "#") {
    return table;
  }
  if (tableLine.test(line)) {
    if (table !== undefined) {
      throw new SyntaxError(
        `Cannot read line ${lineNumber} of the dump: ${line} before the COMMIT of ${table}`,
      );
    }
    visitor.table?.(line.slice(1));
    return line.slice(1);
  }
  if (table === undefined) {
    throw new SyntaxError(
      `Cannot read line ${lineNumber} of the dump: outside of a table: ${line.slice(0, 60)}`,
    );
  }
  if (line === "COMMIT") {
    visitor.commit?.();
    return undefined;
  }
  if (first === ":") {
    const [name = "", policy] = line.slice(1).split(" ");
    visitor.chain?.(name, policy === "-" ? undefined : policy);
  } else {
    visitCommand(visitor, line);
  }
  return table;
}

function visitCommand(visitor: SaveVisitor, line: string): void {
  const command = line.startsWith("[") ? line.slice(line.indexOf("]") + 2) : line;
  if (command.startsWith("-A ")) {
    const end = command.indexOf(" ", 3);
    visitor.rule?.(end < 0 ? command.slice(3) : command.slice(3, end), command);
  } else if (otherCommand.test(command)) {
    visitor.command?.(command);
  }
}
