/**
 * What findings need to know of a rule set, from the text of iptables-save: how much there is, who wrote it, and the rules
 * that are not a service proxy's.
 *
 * Pure. Rules of Services are counted, not kept: there may be a hundred thousand.
 *
 * @module
 */
import { type SaveScanner, saveScanner } from "../../iptables/builder/scan.ts";

/** One rule. */
export interface RuleLine {
  readonly table: string;
  readonly chain: string;
  /** `-A CHAIN …` */
  readonly line: string;
}

/** Rules of others that are kept, at most. */
const mostLines = 20_000;

/** A rule set of one variant and family. */
export class RuleSummary {
  readonly #rules = new Map<string, number>();
  readonly #chains = new Map<string, Set<string>>();
  readonly #policies = new Map<string, string>();
  readonly #lines: RuleLine[] = [];

  /** A scanner of iptables-save output that fills an instance. */
  static reader(): { readonly summary: RuleSummary; readonly scanner: SaveScanner } {
    const summary = new RuleSummary();
    let table = "";
    const scanner = saveScanner({
      table: (name) => {
        table = name;
        summary.#chains.set(name, summary.#chains.get(name) ?? new Set());
      },
      chain: (name, policy) => {
        if (policy === undefined) {
          summary.#chains.get(table)?.add(name);
        } else {
          summary.#policies.set(`${table} ${name}`, policy);
        }
      },
      rule: (chain, line) => {
        summary.#rules.set(table, (summary.#rules.get(table) ?? 0) + 1);
        if (isKept(chain) && summary.#lines.length < mostLines) {
          summary.#lines.push({ table, chain, line });
        }
      },
    });
    return { summary, scanner };
  }

  /** The summary of a whole text. */
  static of(text: string): RuleSummary {
    const { summary, scanner } = RuleSummary.reader();
    scanner.push(text);
    scanner.end();
    return summary;
  }

  /** All rules. */
  get rules(): number {
    return [...this.#rules.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Names of user chains, with their tables: `nat KUBE-SERVICES`. */
  get chains(): readonly string[] {
    return [...this.#chains].flatMap(([table, names]) => [...names].map((name) => `${table} ${name}`));
  }

  hasChain(table: string, name: string): boolean {
    return this.#chains.get(table)?.has(name) === true;
  }

  /** Whether any chain's name matches. */
  hasChainLike(pattern: RegExp): boolean {
    return [...this.#chains.values()].some((names) => [...names].some((name) => pattern.test(name)));
  }

  /** `ACCEPT` or `DROP`; undefined when the chain does not exist. */
  policy(table: string, chain: string): string | undefined {
    return this.#policies.get(`${table} ${chain}`);
  }

  /** Rules that belong to no Service. */
  get lines(): readonly RuleLine[] {
    return this.#lines;
  }

  /** Who has chains here, by the names that they give them. */
  get writers(): readonly string[] {
    const found = new Set<string>();
    for (const names of this.#chains.values()) {
      for (const name of names) {
        found.add(writerOf(name));
      }
    }
    return [...found].sort();
  }
}

/** Rules of Services' own chains tell nothing that findings ask for. */
function isKept(chain: string): boolean {
  return !/^KUBE-(SVC|SVL|EXT|FW|SEP|SERVICES|NODEPORTS|EXTERNAL-SERVICES)\b/.test(chain);
}

const writers: readonly (readonly [RegExp, string])[] = [
  [/^KUBE-(IPTABLES-HINT|KUBELET-CANARY|FIREWALL|MARK-DROP)$/, "kubelet"],
  [/^KUBE-(ROUTER|POD-FW|NWPLCY|DEFAULT-NETPOL)/, "kube-router"],
  [/^KUBE-/, "a service proxy"],
  [/^CILIUM_/, "Cilium"],
  [/^cali-/, "Calico"],
  [/^FLANNEL-/, "flannel"],
  [/^CNI-/, "CNI plugins"],
  [/^DOCKER/, "Docker"],
  [/^(ANTREA|WEAVE|ISTIO|LIBVIRT)[-_]/, "$1"],
  [/^ufw6?-/, "ufw"],
  [/^f2b-/, "fail2ban"],
  [/_(ZONES|direct|zones)\b|^(IN|FWD[IO]?|FWD|PRE|POST)_public/, "firewalld"],
];

function writerOf(chain: string): string {
  for (const [pattern, name] of writers) {
    const match = pattern.exec(chain);
    if (match !== null) {
      return name === "$1" ? (match[1] ?? chain) : name;
    }
  }
  return "others";
}
