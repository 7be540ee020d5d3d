/**
 * What IPVS does with a new connection: which virtual server takes it, and with what chance each real server gets it.
 *
 * Pure.
 *
 * @module
 */
import type { Balanced, BalanceKey } from "../iptables/builder/mod.ts";
import { canonicalAddress } from "../iptables/builder/mod.ts";
import { type RealServer, realServerName } from "../ipvs/netlink/real-server.ts";
import type { TableEntry } from "../ipvs/netlink/table-entry.ts";
import { addressAndPort, familyOfVirtualServer, virtualServerName } from "../ipvs/netlink/virtual-server.ts";
import type { Family } from "../proxier/address.ts";
import type { PersistenceTemplate } from "./node-state.ts";

/** How the chances of a scheduler follow from weights. */
export type ShareRule =
  /** All real servers whose weight is not 0 alike. */
  | "equal"
  /** In proportion to their weights. */
  | "weighted"
  /** All to the one with the greatest weight. */
  | "greatest";

const shareRules: Readonly<Record<string, ShareRule>> = {
  rr: "equal",
  lc: "equal",
  dh: "equal",
  lblc: "weighted",
  lblcr: "weighted",
  fo: "greatest",
  ovf: "greatest",
};

/** Chances in the long run, where nothing else is known about connections that are open. Weighted unless known better. */
export function shareRule(scheduler: string): ShareRule {
  return (Object.hasOwn(shareRules, scheduler) ? shareRules[scheduler] : undefined) ?? "weighted";
}

/** The real servers that take new connections, with their chances, which add up to 1. */
export function shares(
  scheduler: string,
  realServers: readonly RealServer[],
): readonly { readonly real: RealServer; readonly probability: number }[] {
  const taking = realServers.filter(({ weight }) => weight > 0);
  const rule = shareRule(scheduler);
  if (rule === "greatest") {
    const [first] = taking.toSorted((a, b) => b.weight - a.weight);
    return first === undefined ? [] : [{ real: first, probability: 1 }];
  }
  const partOf = ({ weight }: RealServer): number => (rule === "equal" ? 1 : weight);
  const whole = taking.reduce((sum, real) => sum + partOf(real), 0);
  return taking.map((real) => ({ real, probability: partOf(real) / whole }));
}

/** The virtual servers of a node. */
export class BalancerTable {
  readonly #family: Family;
  readonly #entries: ReadonlyMap<string, TableEntry>;
  readonly #templates: readonly PersistenceTemplate[];

  constructor(family: Family, entries: readonly TableEntry[], templates: readonly PersistenceTemplate[]) {
    this.#family = family;
    this.#entries = new Map(
      entries
        .filter(({ server }) => familyOfVirtualServer(server) === family)
        .map((entry) => [virtualServerName(entry.server), entry]),
    );
    this.#templates = templates;
  }

  /** The virtual server for a packet: that of its mark before that of its destination. */
  find({ mark, destination, protocol, destinationPort = 0 }: BalanceKey): TableEntry | undefined {
    const ofMark = mark === 0 ? undefined : virtualServerName({ firewallMark: mark, family: this.#family });
    const ofAddress = (port: number): string =>
      `${protocol.toUpperCase()} ${addressAndPort(canonicalAddress(destination), port)}`;
    return (
      (ofMark === undefined ? undefined : this.#entries.get(ofMark)) ??
      this.#entries.get(ofAddress(destinationPort)) ??
      this.#entries.get(ofAddress(0))
    );
  }

  /** The real server that a client is bound to. */
  remembered(key: BalanceKey): PersistenceTemplate | undefined {
    const entry = this.find(key);
    if (entry?.server.persistence === undefined) {
      return undefined;
    }
    const name = virtualServerName(entry.server);
    return this.#templates.find(({ server, client }) => server === name && client === key.source);
  }

  /** What becomes of a packet; undefined when there is no virtual server for it. */
  readonly balance = (key: BalanceKey): Balanced | undefined => {
    const entry = this.find(key);
    if (entry === undefined) {
      return undefined;
    }
    const { server, realServers } = entry;
    const template = this.remembered(key);
    const keeps = realServers.some((real) => realServerName(real) === template?.target && real.weight > 0);
    const targets =
      template !== undefined && keeps
        ? [{ to: template.target, probability: 1 }]
        : shares(server.scheduler, realServers).map(({ real, probability }) => ({
            // Behind a firewall mark a real server may leave the port alone.
            to: realServerName(real.port === 0 ? { ...real, port: key.destinationPort ?? 0 } : real),
            probability,
          }));
    return { server: `${virtualServerName(server)} ${server.scheduler}`, targets };
  };
}
