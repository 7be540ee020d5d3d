/**
 * Where the rules of a Service port lead: which real servers, in which proportion, with which affinity.
 *
 * Pure. Reads the layouts of kube-proxy and of this program by what their rules do, not by how they are named: a chain of
 * chances whose rules translate themselves or jump to chains that do, however deep.
 *
 * @module
 */
import { ipv4Word } from "../netlink/ip-address.ts";
import type { RuleChains } from "./rule-chains.ts";
import type { RuleLine } from "./rule-line.ts";
import { TranslationRun, type Translations } from "./translations.ts";

/** Where the clients of a server are remembered: in a list of the `recent` match, or in an ipset. */
export interface AffinityMemory {
  readonly kind: "list" | "set";
  readonly name: string;
}

/** A real server of a pool. */
export interface PoolServer {
  readonly address: string;
  readonly port: number;
  /** Share of the packets that get into the pool. */
  readonly share: number;
  /** Connections that its rules have let through. */
  readonly connections: number;
  /** Absent without affinity. */
  readonly memory: AffinityMemory | undefined;
}

/** What packets may get. */
export interface Pool {
  readonly servers: readonly PoolServer[];
  /** Whether they stand in the order of their addresses and ports as numbers, and these are of IPv4 and below 128.0.0.0. */
  readonly isAscending?: boolean;
  /** Seconds for which a client stays with its server. */
  readonly affinitySeconds?: number;
  /** Networks that may enter, where not all may. */
  readonly allowedSources?: readonly string[];
}

/** Chains refer to chains: dispatch, branches, parts. Deeper nesting than this is no Service. */
const deepest = 16;

type Found = { -readonly [Field in keyof PoolServer]: PoolServer[Field] };

/** Finds pools. */
export class RulePools {
  readonly #chains: RuleChains;

  constructor(chains: RuleChains) {
    this.#chains = chains;
  }

  /** What packets get that are sent into a chain of the nat table by anybody from outside. */
  pool(chain: string): Pool {
    return this.#find(chain, 0);
  }

  #find(chain: string, depth: number): Pool {
    if (depth > deepest) return { servers: [] };
    if (chain.startsWith("KUBE-FW-")) return this.#findAdmitted(this.#chains.rules("nat", chain), depth);
    if (!chain.startsWith("KUBE-EXT-")) return this.#spread(chain);
    // A chain of routes: the last one, without a condition, is for everybody.
    const onward = this.#chains.rules("nat", chain).find(isRoute);
    return onward === undefined ? { servers: [] } : this.#find(onward.target, depth + 1);
  }

  /** Sources that are let into the chain behind. */
  #findAdmitted(rules: readonly RuleLine[], depth: number): Pool {
    const entrances = rules.filter(({ target }) => target.startsWith("KUBE-"));
    const [entrance] = entrances;
    if (entrance === undefined) return { servers: [] };
    const pool = this.#find(entrance.target, depth + 1);
    if (entrances.some(({ source }) => source === undefined)) return pool;
    return { ...pool, allowedSources: entrances.map(({ source = "" }) => source) };
  }

  #spread(chain: string): Pool {
    const found = new FoundServers();
    const affinity = this.#collect(chain, 1, found, 0);
    const { servers, isAscending } = found;
    return { servers, isAscending, ...(affinity === undefined ? {} : { affinitySeconds: affinity }) };
  }

  /** @returns seconds of affinity, if there is any */
  #collect(chain: string, share: number, found: FoundServers, depth: number): number | undefined {
    if (depth > deepest) return undefined;
    let left = share;
    let affinity: number | undefined;
    let memory: AffinityMemory | undefined;
    for (const rule of this.#chains.parts("nat", chain)) {
      if (rule instanceof TranslationRun) {
        left = this.#collectRun(rule, left, memory, found);
        continue;
      }
      affinity ??= rule.recentSeconds ?? rule.setTimeout;
      memory = memoryOf(rule) ?? memory;
      const { target } = rule;
      if (target !== "DNAT" && !target.startsWith("KUBE-")) continue;
      const remembered = rule.recentSeconds !== undefined || rule.otherMatches;
      const taken = remembered ? 0 : left * (rule.probability ?? 1);
      left -= taken;
      if (target === "DNAT") found.addRule(rule, taken, memory);
      else if (!remembered) affinity = this.#collect(target, taken, found, depth + 1) ?? affinity;
    }
    return affinity;
  }

  /** @returns the share that is left for the rules behind */
  #collectRun(
    { from, to }: TranslationRun,
    share: number,
    memory: AffinityMemory | undefined,
    found: FoundServers,
  ): number {
    const { translations } = this.#chains;
    let left = share;
    for (let place = from; place < to; place++) {
      const taken = left * translations.chance(place);
      left -= taken;
      found.addTranslation(translations, place, taken, memory);
    }
    return left;
  }
}

/** What a rule writes the client down in, or looks it up in. */
function memoryOf({ recentName, setName }: RuleLine): AffinityMemory | undefined {
  if (recentName !== undefined) return { kind: "list", name: recentName };
  return setName === undefined ? undefined : { kind: "set", name: setName };
}

/** Whether a rule sends everybody on to another chain. */
function isRoute({ target, otherMatches }: RuleLine): boolean {
  return target.startsWith("KUBE-") && !otherMatches;
}

/** Few servers are looked through faster than they are looked up. */
const fewServers = 24;

/** The servers of a pool while they are found. */
class FoundServers {
  readonly servers: Found[] = [];
  /** What each of them is told by: IPv4 makes a number, IPv6 a text. */
  readonly #keys: (number | string)[] = [];
  #places: Map<number | string, number> | undefined;
  #largest = -1;
  #isAscending = true;

  /** See {@link Pool}. */
  get isAscending(): boolean {
    return this.#isAscending && this.#largest < 2 ** 31 * 65_536;
  }

  /** Counts what a rule lets through, be it by chance or because the client is remembered. */
  addRule({ to = "", packets }: RuleLine, share: number, memory: AffinityMemory | undefined): void {
    const colon = to.lastIndexOf(":");
    const address = to.startsWith("[") ? to.slice(1, colon - 1) : to.slice(0, colon);
    const port = Number(to.slice(colon + 1));
    const known = this.#known(keyOf(ipv4Word(address) ?? -1, address, port));
    if (known === undefined) {
      this.servers.push({ address, port, share, connections: packets, memory });
      return;
    }
    known.share += share;
    known.connections += packets;
    known.memory ??= memory;
  }

  /** The same for a rule that only translates. */
  addTranslation(
    translations: Translations,
    place: number,
    share: number,
    memory: AffinityMemory | undefined,
  ): void {
    const word = translations.word(place);
    const port = translations.port(place);
    const connections = translations.packets(place);
    const known = this.#known(keyOf(word, word < 0 ? translations.address(place) : "", port));
    if (known === undefined) {
      const address = translations.address(place);
      this.servers.push({ address, port, share, connections, memory });
      return;
    }
    known.share += share;
    known.connections += connections;
    known.memory ??= memory;
  }

  /** The server of a key that was there before; undefined for a new one, which has to be added then. */
  #known(key: number | string): Found | undefined {
    // Rules stand in the order of the addresses, mostly.
    if (typeof key === "number" && key > this.#largest) this.#largest = key;
    else {
      this.#isAscending = false;
      const place = this.#placeOf(key);
      if (place >= 0) return this.servers[place];
    }
    this.#places?.set(key, this.#keys.length);
    this.#keys.push(key);
    return undefined;
  }

  #placeOf(key: number | string): number {
    if (this.#keys.length < fewServers) return this.#keys.indexOf(key);
    this.#places ??= new Map(this.#keys.map((known, index) => [known, index]));
    return this.#places.get(key) ?? -1;
  }
}

function keyOf(word: number, address: string, port: number): number | string {
  return word < 0 ? `${address} ${port}` : word * 65_536 + port;
}
