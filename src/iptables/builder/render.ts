/**
 * Renders rules in exactly the form in which iptables-save prints them.
 *
 * A chain that was rendered here, loaded and read back can therefore be compared as plain text; input for
 * iptables-restore and its output are one language. The form was taken from iptables 1.8.9, nft and legacy, which print
 * the same but for negated port ranges that begin at 0: nft turns them into the complement, and so does this package.
 *
 * Invariants
 * - Equal rules give equal text. Addresses, interfaces and protocol come first, in the order of the tool, wherever they
 *   stand among the matches; the rest keeps its order.
 * - Nothing that is written can begin a word, option or line that the rule did not ask for: names and texts are checked
 *   (text.ts), also in objects that were made by hand.
 *
 * @module
 */
import { renderModule } from "./render-module.ts";
import { renderTarget } from "./render-target.ts";
import type { AddressMatch, InterfaceMatch, Match, ProtocolMatch, Rule, RuleEdit } from "./rule.ts";
import { checkChainName, checkName } from "./text.ts";

/** Longest interface name: IFNAMSIZ (16) with its final zero. */
const maxInterfaceName = 15;

const canonicalNetwork = /^[0-9a-f.:]+\/[0-9a-f.:]+$/;

/**
 * The rule as a line that appends it to the chain: `-A CHAIN …`, without newline.
 *
 * @throws {RangeError} when a name, comment or number cannot be written; the message names the field.
 */
export function renderRule(chain: string, rule: Rule): string {
  return `-A ${checkChainName(chain)}${renderBody(rule)}`;
}

/** {@link renderRule} for all rules of a chain, in order, each line ended by a newline. */
export function renderChain(chain: string, rules: readonly Rule[]): string {
  const start = `-A ${checkChainName(chain)}`;
  let text = "";
  for (const rule of rules) {
    text += `${start}${renderBody(rule)}\n`;
  }
  return text;
}

/** The line of an edit: `-A`, `-I` (at the head) or `-D`. Errors as for {@link renderRule}. */
export function renderEdit(edit: RuleEdit): string {
  const command = { append: "-A", insert: "-I", delete: "-D" }[edit.operation];
  return `${command} ${checkChainName(edit.chain)}${renderBody(edit.rule)}`;
}

/** Lines of one table as restore text: a block that takes effect at once. There must be lines. */
export function tableBlock(table: string, lines: readonly string[]): string {
  return `*${table}\n${lines.join("\n")}\nCOMMIT\n`;
}

/** Texts of lists of matches that rules share. */
const sharedTexts = new WeakMap<readonly Match[], string>();

/**
 * Makes a list of matches that any number of rules may hold. It is rendered once, now. Errors as for {@link renderRule}.
 */
export function shareMatches(matches: readonly Match[]): readonly Match[] {
  const shared = Object.freeze([...matches]);
  sharedTexts.set(shared, renderMatches(shared));
  return shared;
}

/** Everything after the chain name, with a leading blank, or "" for a rule without matches and target. */
function renderBody({ matches, target }: Rule): string {
  const text = sharedTexts.get(matches) ?? renderMatches(matches);
  return target === undefined ? text : text + renderTarget(target);
}

function renderMatches(matches: readonly Match[]): string {
  let source = "";
  let destination = "";
  let inInterface = "";
  let outInterface = "";
  let protocol = "";
  let modules = "";
  for (const match of matches) {
    switch (match.kind) {
      case "source":
        source = only(match, source, renderAddress("-s", match));
        break;
      case "destination":
        destination = only(match, destination, renderAddress("-d", match));
        break;
      case "in-interface":
        inInterface = only(match, inInterface, renderInterface("-i", match));
        break;
      case "out-interface":
        outInterface = only(match, outInterface, renderInterface("-o", match));
        break;
      case "protocol":
        protocol = only(match, protocol, renderProtocol(match));
        break;
      case "ports":
        protocol = only(match, protocol, ` -p ${match.protocol}`);
        modules += renderModule(match);
        break;
      case "recent":
        if (match.action === "set") {
          checkRecentSet(matches);
        }
        modules += renderModule(match);
        break;
      default:
        modules += renderModule(match);
    }
  }
  return source + destination + inInterface + outInterface + protocol + modules;
}

/** Options that the tools take once: a second one would be an error or, worse, replace the first. */
function only(match: Match, before: string, text: string): string {
  if (before !== "") {
    throw new RangeError(
      `Cannot render rule: more than one ${match.kind} match, after${before} comes${text}`,
    );
  }
  return text;
}

function checkRecentSet(matches: readonly Match[]): void {
  if (hasRecentSetClash(matches)) {
    throw new RangeError(
      "Cannot render rule: recent --set behind recent and set: iptables would take it for an option of set; move it ahead",
    );
  }
}

/**
 * Whether iptables misunderstands a `recent --set` among the matches.
 *
 * An option belongs to the module that was loaded last among those that know it, and naming a module again does not load it
 * again. The set module still knows `--set`, a former name of `--match-set`: it gets a `--set` that follows
 * `-m recent … -m set …`, also behind another `-m recent`.
 */
export function hasRecentSetClash(matches: readonly Match[]): boolean {
  const firstRecent = matches.findIndex(({ kind }) => kind === "recent");
  const firstSet = matches.findIndex(({ kind }) => kind === "set");
  const lastRecording = matches.findLastIndex((match) => match.kind === "recent" && match.action === "set");
  return firstRecent < firstSet && firstSet < lastRecording;
}

function renderAddress(option: string, match: AddressMatch): string {
  if (!canonicalNetwork.test(match.network)) {
    throw new RangeError(
      `Cannot render ${match.kind} ${JSON.stringify(match.network)}: not a network in canonical text`,
    );
  }
  if (match.negated === true) {
    return ` ! ${option} ${match.network}`;
  }
  return match.network.endsWith("/0") ? "" : ` ${option} ${match.network}`;
}

function renderInterface(option: string, match: InterfaceMatch): string {
  const name = checkName("interface", match.name, maxInterfaceName);
  if (name === "+") {
    // The tools forget it when saving, even negated, when it matches nothing.
    throw new RangeError('Cannot render interface "+": it stands for every interface; leave the match out');
  }
  return match.negated === true ? ` ! ${option} ${name}` : ` ${option} ${name}`;
}

function renderProtocol(match: ProtocolMatch): string {
  const name = checkName("protocol", match.protocol, 32);
  return match.negated === true ? ` ! -p ${name}` : ` -p ${name}`;
}
