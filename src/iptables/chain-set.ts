/**
 * What one Service contributes to the rules: chains of its own, and entries in the shared dispatch trees.
 *
 * @module
 */
import type { Rule } from "./builder/rule.ts";

/** A chain that belongs to one Service, in the nat table. */
export interface ServiceChain {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** The shared chains that grow with the number of Services, each laid out as a dispatch tree. */
export type DispatchName =
  /** nat: addresses whose packets are forwarded. */
  | "services"
  /** nat: node ports whose packets are forwarded. */
  | "node-ports"
  /** filter: ClusterIPs that are rejected or dropped. */
  | "no-internal"
  /** filter: external addresses and node ports that are rejected or dropped. */
  | "no-external"
  /** filter: load-balancer addresses with allowed sources; what was not admitted is dropped. */
  | "firewall"
  /** filter: health-check node ports, accepted. */
  | "health";

/** One rule in a dispatch tree. */
export interface ServiceEntry {
  readonly dispatch: DispatchName;
  readonly key: string;
  /** Orders rules of equal keys and tells them apart. */
  readonly id: string;
  readonly rule: Rule;
}

/** Everything of one Service. */
export interface ServiceRules {
  /** Each chain stands behind those that its rules jump to, so that they can be written one by one. */
  readonly chains: readonly ServiceChain[];
  readonly entries: readonly ServiceEntry[];
}
