/**
 * One line of `iptables-save --counters`, as far as it says something about a Service.
 *
 * This is no parser of rules in general (that is `iptables/builder`): it picks out of a line what the chains of kube-proxy
 * and of this program consist of, by searching, because a node has a hundred thousand of them and somebody is waiting.
 *
 * Pure.
 *
 * @module
 */

/** What a rule says. Texts are as iptables-save prints them. */
export interface RuleLine {
  readonly chain: string;
  readonly packets: number;
  /** A chain, `DNAT`, `REJECT`, …; `""` for a rule that only counts. */
  readonly target: string;
  /** `-d`, with its prefix length. Absent also if it is negated. */
  readonly destination?: string;
  /** `-s`; absent if it is negated, and then `otherMatches` is set. */
  readonly source?: string;
  readonly protocol?: string;
  /** `--dport` of a single port. */
  readonly port?: number;
  readonly comment?: string;
  /** Share of the packets that get here, of `-m statistic --mode random`. */
  readonly probability?: number;
  /** `--to-destination` of DNAT. */
  readonly to?: string;
  /** `--seconds` of a look-up in a list of recent clients. */
  readonly recentSeconds?: number;
  /** Name of the list of recent clients that the rule looks into or writes. */
  readonly recentName?: string;
  /** The set that the rule's target adds the client to. */
  readonly setName?: string;
  /** `--timeout` of that target. */
  readonly setTimeout?: number;
  /** Whether it holds for some packets only, by other matches than destination, protocol, port and chance. */
  readonly otherMatches: boolean;
}

const comments = [' --comment "', " --comment "] as const;

/** Where a rule starts in a line: behind its counters. */
function ruleStart(line: string): number {
  return line.charCodeAt(0) === 0x5b ? line.indexOf("] ") + 2 : 0;
}

/**
 * Takes a line apart.
 *
 * @returns undefined for what is no rule of a chain whose name begins with `KUBE-`
 */
export function parseRuleLine(line: string): RuleLine | undefined {
  const start = ruleStart(line);
  if (!line.startsWith("-A KUBE-", start)) return undefined;
  const chainEnd = line.indexOf(" ", start + 3);
  const chain = chainEnd < 0 ? line.slice(start + 3) : line.slice(start + 3, chainEnd);
  let text = chainEnd < 0 ? "" : line.slice(chainEnd);
  const comment = commentOf(text);
  if (comment !== undefined) text = text.slice(0, comment.start) + text.slice(comment.end);

  const jump = text.lastIndexOf(" -j ");
  const matches = jump < 0 ? text : text.slice(0, jump);
  const target = jump < 0 ? "" : wordAt(text, jump + 4);
  const rule: Writable = { chain, packets: packetsOf(line, start), target, otherMatches: false };
  if (comment !== undefined) rule.comment = comment.text;
  readTarget(rule, text, jump);
  readMatches(rule, matches);
  return rule;
}

/** What a line's counters say, before a rule that starts there. */
function packetsOf(line: string, start: number): number {
  return start > 0 ? Number.parseInt(line.slice(1, start), 10) : 0;
}

type Writable = { -readonly [Field in keyof RuleLine]: RuleLine[Field] };

function readTarget(rule: Writable, text: string, jump: number): void {
  if (rule.target === "DNAT") rule.to = optionValue(text, " --to-destination ", jump) ?? "";
  else if (rule.target === "SET") {
    const name = optionValue(text, " --add-set ", jump);
    if (name !== undefined) rule.setName = name;
    const timeout = optionValue(text, " --timeout ", jump);
    if (timeout !== undefined) rule.setTimeout = Number.parseInt(timeout, 10);
  }
}

function readMatches(rule: Writable, matches: string): void {
  if (matches === "") return;
  const destination = optionValue(matches, " -d ");
  if (destination !== undefined && !matches.includes(" ! -d ")) rule.destination = destination;
  const protocol = optionValue(matches, " -p ");
  if (protocol !== undefined) rule.protocol = protocol;
  const port = optionValue(matches, " --dport ");
  if (port !== undefined) {
    if (/^\d+$/.test(port) && !matches.includes(" ! --dport ")) rule.port = Number(port);
    else rule.otherMatches = true;
  }
  const probability = optionValue(matches, " --probability ");
  if (probability !== undefined) rule.probability = Number.parseFloat(probability);
  if (matches.includes(" -s ")) {
    const source = optionValue(matches, " -s ");
    if (source !== undefined && !matches.includes(" ! -s ")) rule.source = source;
    rule.otherMatches = true;
  }
  if (matches.includes(" -m recent ")) readRecent(rule, matches);
  if (/ -m (?:set|addrtype|mark|conntrack|nfacct|bpf|ipvs|physdev) | -[io] /.test(matches)) {
    rule.otherMatches = true;
  }
}

function readRecent(rule: Writable, matches: string): void {
  const name = optionValue(matches, " --name ");
  if (name !== undefined) rule.recentName = name;
  const seconds = optionValue(matches, " --seconds ");
  if (seconds !== undefined) {
    rule.recentSeconds = Number.parseInt(seconds, 10);
    // A look-up passes some; a rule that only notes the client passes all.
    rule.otherMatches = true;
  }
}

/** The word behind an option. */
function optionValue(text: string, option: string, from = 0): string | undefined {
  const at = text.indexOf(option, from);
  return at < 0 ? undefined : wordAt(text, at + option.length);
}

function wordAt(text: string, start: number): string {
  const end = text.indexOf(" ", start);
  return end < 0 ? text.slice(start) : text.slice(start, end);
}

/** The comment, and where it stands: nothing in it may be taken for an option. */
function commentOf(
  text: string,
): { readonly text: string; readonly start: number; readonly end: number } | undefined {
  const [quoted, plain] = comments;
  const start = text.indexOf(plain);
  if (start < 0) return undefined;
  if (!text.startsWith(quoted, start)) {
    const word = wordAt(text, start + plain.length);
    return { text: word, start, end: start + plain.length + word.length };
  }
  const from = start + quoted.length;
  let end = text.indexOf('"', from);
  while (end > 0 && text[end - 1] === "\\") end = text.indexOf('"', end + 1);
  if (end < 0) return { text: text.slice(from), start, end: text.length };
  return { text: text.slice(from, end), start, end: end + 1 };
}
