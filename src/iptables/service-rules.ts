/**
 * From the plan of one Service to its rules.
 *
 * A translation: every decision (who is forwarded where, who is dropped, who is masqueraded) stands in the plan. Chain
 * names and comments are kube-proxy's.
 *
 * @module
 */
import { type Address, addressBytes, type Family } from "../proxier/address.ts";
import type { Protocol } from "../proxier/objects.ts";
import {
  defaultVerdict,
  type Frontend,
  forwards,
  type NodePlan,
  type Pool,
  type Route,
  type RouteSource,
  type ServicePlan,
  type ServicePortPlan,
  type Verdict,
} from "../proxier/plan.ts";
import { comment, destination, destinationType, dport, not, source, sourceType } from "./builder/matches.ts";
import type { Match, Rule, Target } from "./builder/rule.ts";
import { accept, drop, jump, reject } from "./builder/targets.ts";
import { servicePortHash } from "./chain-names.ts";
import type { DispatchName, ServiceChain, ServiceEntry, ServiceRules } from "./chain-set.ts";
import { coversEverything, detectorMatches } from "./detector-match.ts";
import { EndpointLists, markMasqueradeChain, transportOf } from "./endpoint-list.ts";
import type { AffinityMechanism, RuleSettings } from "./settings.ts";

/**
 * Rules of one Service.
 *
 * @param affinity by which mechanism its ports remember clients, if they do
 */
export function serviceRules(
  service: ServicePlan,
  node: NodePlan,
  settings: RuleSettings,
  affinity: AffinityMechanism,
): ServiceRules {
  const chains: ServiceChain[] = [];
  const entries: ServiceEntry[] = [];
  for (const port of service.ports) {
    const rules = new PortRules(port, node, settings, affinity);
    rules.addChains(chains);
    rules.addEntries(entries);
  }
  if (service.health !== undefined) {
    entries.push(healthEntry(service, service.health.port));
  }
  return { chains, entries };
}

/** Dispatch key of an address: `a` and its hexadecimal digits. */
export function addressKey(address: Address): string {
  let key = "a";
  for (const byte of addressBytes(address)) {
    key += hexadecimal[byte];
  }
  return key;
}

const hexadecimal: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);

/** Dispatch key of a port: `p`, the protocol's first letter and four hexadecimal digits. */
export function portKey(protocol: Protocol, port: number): string {
  return `p${transportOf({ protocol })[0]}${port.toString(16).padStart(4, "0")}`;
}

const loopbackNetwork: Readonly<Record<Family, string>> = { IPv4: "127.0.0.0/8", IPv6: "::1/128" };

const pools: readonly Pool[] = ["cluster", "local"];

const poolPrefix = { cluster: "KUBE-SVC-", local: "KUBE-SVL-" } as const;

const frontendComment = {
  ClusterIP: "cluster IP",
  ExternalIP: "external IP",
  LoadBalancer: "loadbalancer IP",
  NodePort: "",
} as const;

class PortRules {
  readonly #port: ServicePortPlan;
  readonly #node: NodePlan;
  readonly #lists: EndpointLists;
  readonly #hash: string;
  readonly #clusterIP: Frontend | undefined;
  readonly #external: readonly Frontend[];

  constructor(port: ServicePortPlan, node: NodePlan, settings: RuleSettings, affinity: AffinityMechanism) {
    this.#port = port;
    this.#node = node;
    this.#lists = new EndpointLists(node.family, port, settings, affinity);
    this.#hash = servicePortHash(port.displayName, port.protocol);
    this.#clusterIP = port.frontends.find((one) => one.kind === "ClusterIP");
    this.#external = port.frontends.filter((one) => one.kind !== "ClusterIP");
  }

  /** What is jumped to comes first: endpoints, lists, and what leads to the lists. */
  addChains(chains: ServiceChain[]): void {
    const used = pools.filter((pool) => this.#uses(pool));
    chains.push(...this.#lists.endpointChains(used.map((pool) => this.#port[pool])));
    for (const pool of used) {
      const head = this.#clusterIPMasquerade(pool);
      chains.push(
        ...this.#lists.spread(this.#poolChain(pool), head === undefined ? [] : [head], this.#port[pool]),
      );
    }
    if (this.#external.length > 0 && forwards(this.#port.external)) {
      chains.push(...this.#externalChains());
    }
  }

  addEntries(entries: ServiceEntry[]): void {
    for (const frontend of this.#port.frontends) {
      if (frontend.kind === "ClusterIP") {
        this.#addInternal(frontend, entries);
      } else {
        this.#addExternal(frontend, entries);
      }
    }
  }

  #uses(pool: Pool): boolean {
    const leads = ({ verdict }: Route): boolean => verdict.kind === "forward" && verdict.pool === pool;
    return (
      (this.#clusterIP !== undefined && this.#port.internal.some(leads)) ||
      (this.#external.length > 0 && this.#port.external.some(leads))
    );
  }

  #poolChain(pool: Pool): string {
    return poolPrefix[pool] + this.#hash;
  }

  /** Only the ClusterIP's own packets: what came through the external chain enters the pool's chain as well. */
  #clusterIPMasquerade(pool: Pool): Rule | undefined {
    const clusterIP = this.#clusterIP;
    const verdict = defaultVerdict(this.#port.internal);
    if (clusterIP?.address === undefined || verdict?.kind !== "forward" || verdict.pool !== pool) {
      return undefined;
    }
    const matches = this.#arrival(clusterIP, "cluster IP");
    const detector = this.#node.detector;
    if (verdict.masquerade === "always") {
      return { matches, target: jump(markMasqueradeChain) };
    }
    // A detector that takes every source for a pod leaves nobody to masquerade (and nft refuses such a match).
    if (verdict.masquerade === "never" || detector === undefined || coversEverything(detector)) {
      return undefined;
    }
    return { matches: [...matches, detectorMatches(detector).foreign], target: jump(markMasqueradeChain) };
  }

  #externalChains(): readonly ServiceChain[] {
    const rules = this.#port.external.flatMap((route) => this.#routeRules(route));
    const chains: ServiceChain[] = [{ name: `KUBE-EXT-${this.#hash}`, rules }];
    const restricted = this.#external.find((one) => one.allowedSources !== undefined)?.allowedSources;
    if (restricted !== undefined) {
      const admitted = [...restricted.ranges.map((one) => one.text), ...restricted.ownAddresses];
      chains.push({ name: `KUBE-FW-${this.#hash}`, rules: this.#admissionRules(admitted) });
    }
    return chains;
  }

  #routeRules(route: Route): readonly Rule[] {
    const verdict = route.verdict;
    const from = this.#sourceMatches(route.from);
    if (verdict.kind !== "forward" || from === undefined) {
      return [];
    }
    const name = this.#port.displayName;
    const target = jump(this.#poolChain(verdict.pool));
    const mark = (text: string): Rule => ({
      matches: [comment(text), ...from],
      target: jump(markMasqueradeChain),
    });
    switch (route.from) {
      case "pod":
        return [{ matches: [comment(`pod traffic for ${name} external destinations`), ...from], target }];
      case "node":
        return [
          ...(verdict.masquerade === "always"
            ? [mark(`masquerade LOCAL traffic for ${name} external destinations`)]
            : []),
          { matches: [comment(`route LOCAL traffic for ${name} external destinations`), ...from], target },
        ];
      case "any":
        return [
          ...(verdict.masquerade === "always"
            ? [mark(`masquerade traffic for ${name} external destinations`)]
            : []),
          { matches: [], target },
        ];
    }
  }

  #sourceMatches(from: RouteSource): readonly Match[] | undefined {
    switch (from) {
      case "pod":
        return this.#node.detector === undefined ? undefined : [detectorMatches(this.#node.detector).pod];
      case "node":
        return [sourceType("LOCAL")];
      case "any":
        return [];
    }
  }

  #admissionRules(sources: readonly string[]): readonly Rule[] {
    const name = this.#port.displayName;
    return [
      ...sources.map((from) => ({
        matches: [source(from), comment(`${name} loadbalancer IP`)],
        target: jump(`KUBE-EXT-${this.#hash}`),
      })),
      { matches: [comment(`other traffic to ${name} will be dropped by KUBE-PROXY-FIREWALL`)] },
    ];
  }

  #addInternal(frontend: Frontend, entries: ServiceEntry[]): void {
    const verdict = defaultVerdict(this.#port.internal);
    if (verdict?.kind === "forward") {
      entries.push(this.#entry("services", frontend, "cluster IP", jump(this.#poolChain(verdict.pool))));
    } else if (verdict !== undefined) {
      entries.push(this.#refusal("no-internal", frontend, verdict));
    }
  }

  #addExternal(frontend: Frontend, entries: ServiceEntry[]): void {
    const verdict = defaultVerdict(this.#port.external);
    if (forwards(this.#port.external)) {
      const restricted = frontend.allowedSources !== undefined;
      const dispatch = frontend.kind === "NodePort" ? "node-ports" : "services";
      const target = jump(`${restricted ? "KUBE-FW-" : "KUBE-EXT-"}${this.#hash}`);
      entries.push(this.#entry(dispatch, frontend, frontendComment[frontend.kind], target));
      if (restricted) {
        entries.push(
          this.#entry("firewall", frontend, `traffic not accepted by KUBE-FW-${this.#hash}`, drop),
        );
      }
    }
    if (verdict !== undefined && verdict.kind !== "forward") {
      entries.push(this.#refusal("no-external", frontend, verdict));
    }
  }

  #refusal(dispatch: DispatchName, frontend: Frontend, verdict: Verdict): ServiceEntry {
    return verdict.kind === "drop"
      ? this.#entry(dispatch, frontend, "has no local endpoints", drop)
      : this.#entry(dispatch, frontend, "has no endpoints", reject(this.#node.family));
  }

  #entry(dispatch: DispatchName, frontend: Frontend, words: string, target: Target): ServiceEntry {
    const local = dispatch === "no-external" && frontend.kind === "NodePort" ? this.#localDestination() : [];
    return {
      dispatch,
      key: frontendKey(frontend, this.#port.protocol),
      id: `${this.#port.displayName} ${this.#port.protocol} ${frontend.port}`,
      rule: { matches: this.#arrival(frontend, words, local), target },
    };
  }

  #localDestination(): readonly Match[] {
    const { family, localhostForwarder } = this.#node;
    const type = destinationType("LOCAL");
    return localhostForwarder === true ? [not(destination(loopbackNetwork[family])), type] : [type];
  }

  /**
   * Matches of a packet that arrives at a frontend: destination if it has one, comment, protocol and port.
   *
   * @param local how packets to one without address are told apart
   */
  #arrival(frontend: Frontend, words: string, local: readonly Match[] = []): readonly Match[] {
    const name = this.#port.displayName;
    const text = comment(words === "" ? name : `${name} ${words}`);
    const ports = dport(transportOf(this.#port), frontend.port);
    return frontend.address === undefined
      ? [text, ...local, ports]
      : [destination(frontend.address), text, ports];
  }
}

function frontendKey(frontend: Frontend, protocol: Protocol): string {
  return frontend.address === undefined ? portKey(protocol, frontend.port) : addressKey(frontend.address);
}

/** kube-proxy has this rule once per port of the Service; one is enough, and bears the name of the first. */
function healthEntry({ key, ports }: ServicePlan, port: number): ServiceEntry {
  const name = ports[0]?.displayName ?? key;
  return {
    dispatch: "health",
    key: portKey("TCP", port),
    id: `${key} TCP ${port}`,
    rule: { matches: [comment(`${name} health check node port`), dport("tcp", port)], target: accept },
  };
}
