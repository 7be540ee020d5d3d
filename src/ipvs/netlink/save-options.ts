/**
 * The options of ipvsadm(8) that a saved line is made of, and a line taken apart into them.
 *
 * Pure. Short and long forms, `--name value` and `--name=value`; what an option's argument may be is the subject of
 * parse.ts.
 *
 * @module
 */

/** What an option means; its name in ipvsadm's own messages. */
export type SaveOption =
  | "add-service"
  | "add-server"
  | "tcp-service"
  | "udp-service"
  | "sctp-service"
  | "fwmark-service"
  | "ipv6"
  | "scheduler"
  | "sched-flags"
  | "persistent"
  | "netmask"
  | "pe"
  | "ops"
  | "real-server"
  | "masquerading"
  | "ipip"
  | "gatewaying"
  | "weight"
  | "u-threshold"
  | "l-threshold"
  | "tun-type"
  | "tun-port"
  | "tun-nocsum"
  | "tun-csum"
  | "tun-remcsum";

/** Options by the words for them, with or without an argument. `persistent` may have one. */
const spellings: readonly (readonly [SaveOption, "alone" | "argument" | "number or alone", ...string[]])[] = [
  ["add-service", "alone", "-A"],
  ["add-server", "alone", "-a"],
  ["tcp-service", "argument", "-t"],
  ["udp-service", "argument", "-u"],
  ["sctp-service", "argument"],
  ["fwmark-service", "argument", "-f"],
  ["ipv6", "alone", "-6"],
  ["scheduler", "argument", "-s"],
  ["sched-flags", "argument", "-b"],
  ["persistent", "number or alone", "-p"],
  ["netmask", "argument", "-M"],
  ["pe", "argument"],
  ["ops", "alone", "-o"],
  ["real-server", "argument", "-r"],
  ["masquerading", "alone", "-m"],
  ["ipip", "alone", "-i"],
  ["gatewaying", "alone", "-g"],
  ["weight", "argument", "-w"],
  ["u-threshold", "argument", "-x"],
  ["l-threshold", "argument", "-y"],
  ["tun-type", "argument"],
  ["tun-port", "argument"],
  ["tun-nocsum", "alone"],
  ["tun-csum", "alone"],
  ["tun-remcsum", "alone"],
];

const byWord: ReadonlyMap<
  string,
  { readonly option: SaveOption; readonly takes: (typeof spellings)[number][1] }
> = new Map(
  spellings.flatMap(([option, takes, ...short]) =>
    [`--${option}`, ...short].map((word) => [word, { option, takes }] as const),
  ),
);

/**
 * Takes a line apart.
 *
 * @returns The options with their arguments; "" for an option without one.
 * @throws {SyntaxError} A word that is no option, an option twice, an argument that is missing or not taken.
 */
export function readOptions(line: string): ReadonlyMap<SaveOption, string> {
  const options = new Map<SaveOption, string>();
  const words = line.split(/\s+/).filter((word) => word !== "");
  for (let index = 0; index < words.length; index++) {
    const [word = "", attached] = splitOnce(words[index] ?? "");
    const known = byWord.get(word);
    if (known === undefined) throw new SyntaxError(`${JSON.stringify(word)} is no option of a saved line`);
    const { option, takes } = known;
    if (options.has(option)) throw new SyntaxError(`option ${word} stands there twice`);
    if (takes === "alone" && attached !== undefined)
      throw new SyntaxError(`option ${word} takes no argument`);
    const next = words[index + 1];
    const taken = takes === "argument" || (takes === "number or alone" && /^\d+$/.test(next ?? ""));
    const argument = attached ?? (taken ? words[++index] : "");
    if (argument === undefined || (takes === "argument" && argument === "")) {
      throw new SyntaxError(`option ${word} needs an argument`);
    }
    options.set(option, argument);
  }
  return options;
}

/** `--name=value` in its two parts; anything else in one. */
function splitOnce(word: string): readonly [string, string?] {
  const equals = word.startsWith("--") ? word.indexOf("=") : -1;
  return equals < 0 ? [word] : [word.slice(0, equals), word.slice(equals + 1)];
}
