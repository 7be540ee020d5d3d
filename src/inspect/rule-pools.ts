/**
 * Where the rules of a Service port lead: which real servers, in which proportion, with which affinity.
 *
 * Pure. Reads the layouts of kube-proxy and of this program by what their rules do, not by how they are named: a chain of
 * chances whose rules translate themselves or jump to chains that do, however deep.
 *
 * @module
 */
import type { RuleChains } from "./rule-chains.ts";
import type { RuleLine } from "./rule-line.ts";

/** A real server of a pool. */
export interface PoolServer {
  readonly address: string;
  readonly port: number;
  /** Share of the packets that get into the pool. */
  readonly share: number;
  /** Connections that its rules have let through. */
  readonly connections: number;
  /** List of recent clients that affinity to this server is kept in. */
  readonly recentName: string | undefined;
}

/** What packets may get. */
export interface Pool {
  readonly servers: readonly PoolServer[];
  /** Seconds for which a client stays with its server. */
  readonly affinitySeconds?: number;
  /** Networks that may enter, where not all may. */
  readonly allowedSources?: readonly string[];
}

/** Chains refer to chains: dispatch, branches, parts. Deeper nesting than this is no Service. */
const deepest = 16;

/** Rules that mark packets and go on. */
const markChains: ReadonlySet<string> = new Set(["KUBE-MARK-MASQ", "KUBE-MARK-DROP"]);

type Found = { -readonly [Field in keyof PoolServer]: PoolServer[Field] };

/** Finds pools, each once: the virtual servers of a Service port share them. */
export class RulePools {
  readonly #chains: RuleChains;
  readonly #pools = new Map<string, Pool>();

  constructor(chains: RuleChains) {
    this.#chains = chains;
  }

  /** What packets get that are sent into a chain of the nat table by anybody from outside. */
  pool(chain: string): Pool {
    const known = this.#pools.get(chain);
    if (known !== undefined) return known;
    const pool = this.#find(chain, 0);
    this.#pools.set(chain, pool);
    return pool;
  }

  #find(chain: string, depth: number): Pool {
    const rules = this.#chains.rules("nat", chain);
    if (depth > deepest) return { servers: [] };
    if (chain.startsWith("KUBE-FW-")) return this.#findAdmitted(rules, depth);
    // A chain of routes: the last one, without a condition, is for everybody.
    const onward = rules.find((rule) => isRoute(rule));
    if (chain.startsWith("KUBE-EXT-") && onward === undefined) return { servers: [] };
    if (chain.startsWith("KUBE-EXT-") && onward !== undefined) return this.#find(onward.target, depth + 1);
    return this.#spread(chain);
  }

  /** Sources that are let into the chain behind. */
  #findAdmitted(rules: readonly RuleLine[], depth: number): Pool {
    const entrances = rules.filter(({ target }) => target.startsWith("KUBE-") && !markChains.has(target));
    const [entrance] = entrances;
    if (entrance === undefined) return { servers: [] };
    const pool = this.#find(entrance.target, depth + 1);
    if (entrances.some(({ source }) => source === undefined)) return pool;
    return { ...pool, allowedSources: entrances.map(({ source = "" }) => source) };
  }

  #spread(chain: string): Pool {
    const servers: Found[] = [];
    const affinity = this.#collect(chain, 1, new FoundServers(servers), 0);
    return affinity === undefined ? { servers } : { servers, affinitySeconds: affinity };
  }

  /** @returns seconds of affinity, if there is any */
  #collect(chain: string, share: number, found: FoundServers, depth: number): number | undefined {
    if (depth > deepest) return undefined;
    let left = share;
    let affinity: number | undefined;
    for (const rule of this.#chains.rules("nat", chain)) {
      affinity ??= rule.recentSeconds ?? rule.setTimeout;
      const leads =
        rule.target === "DNAT" || (rule.target.startsWith("KUBE-") && !markChains.has(rule.target));
      if (!leads) continue;
      const remembered = rule.recentSeconds !== undefined || rule.otherMatches;
      const taken = remembered ? 0 : left * (rule.probability ?? 1);
      left -= taken;
      if (rule.target === "DNAT") found.add(rule, taken);
      else if (!remembered) affinity = this.#collect(rule.target, taken, found, depth + 1) ?? affinity;
    }
    return affinity;
  }
}

/** Whether a rule sends everybody on to another chain. */
function isRoute({ target, otherMatches }: RuleLine): boolean {
  return target.startsWith("KUBE-") && !markChains.has(target) && !otherMatches;
}

/** Few servers are looked through faster than they are looked up. */
const fewServers = 24;

/** The servers of a pool while they are found. */
class FoundServers {
  readonly #list: Found[];
  readonly #ends: string[] = [];
  #places: Map<string, number> | undefined;

  constructor(list: Found[]) {
    this.#list = list;
  }

  /** Counts what a rule lets through, be it by chance or because the client is remembered. */
  add(rule: RuleLine, share: number): void {
    const end = rule.to ?? "";
    const known = this.#list[this.#placeOf(end)];
    if (known !== undefined) {
      known.share += share;
      known.connections += rule.packets;
      known.recentName ??= rule.recentName;
      return;
    }
    const colon = end.lastIndexOf(":");
    const address = end.startsWith("[") ? end.slice(1, colon - 1) : end.slice(0, colon);
    const port = Number(end.slice(colon + 1));
    this.#places?.set(end, this.#list.length);
    this.#ends.push(end);
    this.#list.push({ address, port, share, connections: rule.packets, recentName: rule.recentName });
  }

  #placeOf(end: string): number {
    if (this.#list.length < fewServers) return this.#ends.indexOf(end);
    this.#places ??= new Map(this.#ends.map((known, index) => [known, index]));
    return this.#places.get(end) ?? -1;
  }
}
