/**
 * Endpoint lists: the chains that spread packets over the endpoints of one pool.
 *
 * A short list is one chain: rule i of n takes one in n-i+1 of the packets that reach it, so each endpoint gets the same
 * share. A long one is a tree of such lists, whose rules take packets in proportion to the endpoints behind them, so that
 * a packet passes a handful of rules at any number of endpoints.
 *
 * Affinity is tested before chance: a client that an endpoint remembers goes back to it.
 *
 * @module
 */
import type { Affinity } from "../affinity/affinity.ts";
import type { Family } from "../proxier/address.ts";
import type { ServicePortPlan } from "../proxier/plan.ts";
import type { PoolEndpoint } from "../proxier/pool-endpoint.ts";
import { affinitySetName } from "./affinity-sets.ts";
import {
  inSet,
  oneIn,
  probability,
  protocol,
  recentCheck,
  recentSet,
  recentUpdate,
  source,
} from "./builder/matches.ts";
import { shareMatches } from "./builder/render.ts";
import type { Match, Rule, Target, TransportProtocol } from "./builder/rule.ts";
import { addToSet, dnat, jump } from "./builder/targets.ts";
import { endpointChainName, maxParts, partChainName } from "./chain-names.ts";
import type { ServiceChain } from "./chain-set.ts";
import type { AffinityMechanism, RuleSettings } from "./settings.ts";

/** Most rules of chance in one chain. */
const listLimit = 16;

/** Name of the chain that marks a packet for masquerade. */
export const markMasqueradeChain = "KUBE-MARK-MASQ";

/** Lays out the lists of one service port. */
export class EndpointLists {
  readonly #family: Family;
  readonly #port: ServicePortPlan;
  readonly #settings: RuleSettings;
  readonly #affinity: AffinityMechanism;
  readonly #transport: TransportProtocol;

  /** @param affinity by which mechanism the port remembers clients, if it does */
  constructor(family: Family, port: ServicePortPlan, settings: RuleSettings, affinity: AffinityMechanism) {
    this.#family = family;
    this.#port = port;
    this.#settings = settings;
    this.#affinity = affinity;
    this.#transport = transportOf(port);
  }

  /**
   * Chains that spread over the endpoints, the entry chain last.
   *
   * @param name of the entry chain
   * @param head rules that come before the choice
   */
  spread(name: string, head: readonly Rule[], endpoints: readonly PoolEndpoint[]): readonly ServiceChain[] {
    const parts: ServiceChain[] = [];
    const limit = limitFor(endpoints.length);
    const rules = [...head];
    if (this.#port.affinity !== undefined) {
      rules.push(...this.#remembered(this.#port.affinity, endpoints));
    }
    this.#choose(name, endpoints, limit, rules, parts);
    // Parts are numbered from the top: the last ones are jumped to by earlier ones.
    parts.reverse().push({ name, rules });
    return parts;
  }

  /** The chain of each endpoint of any of the pools, where the layout or the affinity needs one. */
  endpointChains(pools: readonly (readonly PoolEndpoint[])[]): readonly ServiceChain[] {
    if (!this.#hasEndpointChains) {
      return [];
    }
    const endpoints = new Map(pools.flat().map((endpoint) => [endpoint.target, endpoint]));
    return [...endpoints.values()].map((endpoint) => this.#endpointChain(endpoint));
  }

  /** A rule of chance cannot both add to a set and translate, so affinity by sets needs a chain per endpoint. */
  get #hasEndpointChains(): boolean {
    return this.#settings.layout === "endpoint-chains" || this.#usesSets;
  }

  get #usesSets(): boolean {
    return this.#port.affinity !== undefined && this.#affinity === "set";
  }

  /**
   * Adds the rules that choose, and the parts that they lead to.
   *
   * @param entry the list's entry chain, by which parts are named
   */
  #choose(
    entry: string,
    endpoints: readonly PoolEndpoint[],
    limit: number,
    rules: Rule[],
    parts: ServiceChain[],
  ): void {
    let left = endpoints.length;
    if (left <= limit) {
      for (const endpoint of endpoints) {
        rules.push(this.#chance(endpoint, left));
        left -= 1;
      }
      return;
    }
    for (const group of splitEvenly(endpoints, limit)) {
      const part = partChainName(entry, parts.length + 1);
      const chosen: Rule[] = [];
      parts.push({ name: part, rules: chosen });
      this.#choose(entry, group, limit, chosen, parts);
      const matches = group.length === left ? [] : [probability(group.length / left)];
      rules.push({ matches, target: jump(part) });
      left -= group.length;
    }
  }

  #chance(endpoint: PoolEndpoint, left: number): Rule {
    if (this.#hasEndpointChains) {
      return { matches: chanceMatches(left), target: jump(this.#endpointName(endpoint)) };
    }
    const chance = chanceMatches(left, this.#transport);
    // The record is made only when the packet takes this rule: `recent` stands behind the chance.
    const matches =
      this.#port.affinity === undefined
        ? chance
        : [...chance, recentSet(this.#family, this.#endpointName(endpoint))];
    return { matches, target: dnat(endpoint.address, endpoint.port) };
  }

  #remembered(affinity: Affinity, endpoints: readonly PoolEndpoint[]): readonly Rule[] {
    return endpoints.map((endpoint): Rule => {
      const name = this.#endpointName(endpoint);
      if (this.#usesSets) {
        return { matches: [inSet(affinitySetName(this.#family, name), "src")], target: jump(name) };
      }
      const lookup = { seconds: affinity.timeoutSeconds, reap: true } as const;
      return this.#hasEndpointChains
        ? { matches: [recentCheck(this.#family, name, lookup)], target: jump(name) }
        : {
            matches: [protocol(this.#transport), recentUpdate(this.#family, name, lookup)],
            target: dnat(endpoint.address, endpoint.port),
          };
    });
  }

  #endpointChain(endpoint: PoolEndpoint): ServiceChain {
    const name = this.#endpointName(endpoint);
    const rules: Rule[] = [];
    if (this.#settings.layout === "endpoint-chains") {
      rules.push({ matches: [source(endpoint.address)], target: jump(markMasqueradeChain) });
    }
    const affinity = this.#port.affinity;
    if (affinity !== undefined && this.#usesSets) {
      rules.push({ matches: [], target: remember(affinitySetName(this.#family, name), affinity) });
    }
    const record = affinity !== undefined && !this.#usesSets ? [recentSet(this.#family, name)] : [];
    rules.push({
      matches: [protocol(this.#transport), ...record],
      target: dnat(endpoint.address, endpoint.port),
    });
    return { name, rules };
  }

  #endpointName(endpoint: PoolEndpoint): string {
    return endpointChainName(this.#port.displayName, this.#port.protocol, endpoint.target);
  }
}

/** The matches by which one in `left` packets takes a rule. Those of short lists are shared: every list has them. */
function chanceMatches(left: number, transport?: TransportProtocol): readonly Match[] {
  const shorter = chances[transport ?? "any"];
  const known = shorter[left];
  if (known !== undefined) {
    return known;
  }
  const matches = [
    ...(transport === undefined ? [] : [protocol(transport)]),
    ...(left === 1 ? [] : [oneIn(left)]),
  ];
  if (left > listLimit) {
    return matches;
  }
  const shared = shareMatches(matches);
  shorter[left] = shared;
  return shared;
}

/** By the length of the list that is left. */
const chances: Readonly<Record<TransportProtocol | "any", (readonly Match[])[]>> = {
  any: [],
  tcp: [],
  udp: [],
  sctp: [],
};

/** The protocol as iptables spells it. */
export function transportOf(port: Pick<ServicePortPlan, "protocol">): TransportProtocol {
  switch (port.protocol) {
    case "TCP":
      return "tcp";
    case "UDP":
      return "udp";
    case "SCTP":
      return "sctp";
  }
}

function remember(set: string, affinity: Affinity): Target {
  return addToSet(set, ["src"], { timeoutSeconds: affinity.timeoutSeconds });
}

/** The most rules of chance in one chain such that all parts of so many endpoints have a name. */
function limitFor(endpoints: number): number {
  let limit = listLimit;
  while (countParts(endpoints, limit) >= maxParts) {
    limit += 1;
  }
  return limit;
}

/** How many parts a list is split into when no chain has more rules than `limit`. */
function countParts(endpoints: number, limit: number): number {
  if (endpoints <= limit) {
    return 0;
  }
  const groups = groupsOf(endpoints, limit);
  const small = Math.floor(endpoints / groups);
  const large = endpoints % groups;
  return groups + large * countParts(small + 1, limit) + (groups - large) * countParts(small, limit);
}

function groupsOf(items: number, limit: number): number {
  return Math.min(limit, Math.ceil(items / limit));
}

/** At most `limit` groups of nearly equal size, in order, as few as hold everything in lists of `limit`. */
function splitEvenly<T>(items: readonly T[], limit: number): readonly (readonly T[])[] {
  const groups = groupsOf(items.length, limit);
  return Array.from({ length: groups }, (_, index) =>
    items.slice(
      Math.floor((index * items.length) / groups),
      Math.floor(((index + 1) * items.length) / groups),
    ),
  );
}
