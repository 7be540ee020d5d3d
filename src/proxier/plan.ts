/**
 * The Plan: what one node must do for one IP family, with every Service semantic already decided.
 *
 * A backend translates a Plan into kernel terms and decides nothing. Frontends say where packets arrive, routes
 * what happens to them by where they come from, endpoint lists where they may go. Everything is a plain value;
 * equal inputs give equal Plans whatever the order of events that led there.
 *
 * @module
 */
import type { Affinity } from "../affinity/affinity.ts";
import type { Address, Cidr, Family } from "./address.ts";
import type { SchedulerChoice } from "./load-balancing.ts";
import type { ObjectKey, Protocol } from "./objects.ts";
import type { PoolEndpoint } from "./pool-endpoint.ts";

/** How packets of local pods are recognised; the absence of a detector is a legal state. */
export type LocalDetector =
  | { readonly kind: "cidr"; readonly cidr: Cidr }
  | { readonly kind: "bridge"; readonly name: string }
  | { readonly kind: "prefix"; readonly prefix: string };

/** Which local addresses take NodePort traffic. */
export type NodePortAddresses =
  /** Every local address; loopback only when `loopback` is true (never ::1). */
  | { readonly kind: "all"; readonly loopback: boolean }
  /** Exactly these local addresses, sorted. May be empty: then NodePorts are unreachable. */
  | { readonly kind: "listed"; readonly addresses: readonly Address[] };

/** Where a packet comes from, in the order in which routes test it. */
export type RouteSource =
  /** A pod, according to the local detector. */
  | "pod"
  /** An address of this node, loopback included. */
  | "node"
  | "any";

/** Source translation of a forwarded packet. Hairpin packets are always masqueraded, whatever this says. */
export type Masquerade = "never" | "always" | "unless-pod";

/** Which endpoint list of the Service port a packet is spread over. */
export type Pool = "cluster" | "local";

/** What happens to a packet. */
export type Verdict =
  | { readonly kind: "forward"; readonly pool: Pool; readonly masquerade: Masquerade }
  | { readonly kind: "drop" }
  | { readonly kind: "reject" };

/** One step of a policy: the first route whose source matches decides. */
export interface Route {
  readonly from: RouteSource;
  readonly verdict: Verdict;
}

export type FrontendKind = "ClusterIP" | "ExternalIP" | "LoadBalancer" | "NodePort";

/** Sources that may use a load-balancer address; everybody else's packets to it are dropped. */
export interface AllowedSources {
  /** Sorted as in the object; never empty. */
  readonly ranges: readonly Cidr[];
  /** The Service's own load-balancer addresses, when this node's address lies in the ranges: the node may talk to itself. */
  readonly ownAddresses: readonly Address[];
}

/** One place where packets of a Service port arrive. */
export interface Frontend {
  readonly kind: FrontendKind;
  /** Undefined for a NodePort, which listens on the Plan's `nodePorts`. */
  readonly address: Address | undefined;
  /** The destination port: the Service's port, or the node port. */
  readonly port: number;
  /** Undefined when there is no restriction. */
  readonly allowedSources: AllowedSources | undefined;
}

/** One port of one Service in one family. */
export interface ServicePortPlan {
  /** `namespace/name` or `namespace/name:port`: the name in comments, hashes and logs. */
  readonly displayName: string;
  readonly protocol: Protocol;
  /** In the order ClusterIP, ExternalIP, LoadBalancer, NodePort; only those that this port won against other claimants. */
  readonly frontends: readonly Frontend[];
  /** What happens to packets for the ClusterIP. */
  readonly internal: readonly Route[];
  /** What happens to packets for every other frontend; empty when there is none. */
  readonly external: readonly Route[];
  /** Endpoints of the cluster pool, sorted by `target`. Empty when no route uses it. */
  readonly cluster: readonly PoolEndpoint[];
  /** Endpoints of the local pool, sorted by `target`. Empty when no route uses it. */
  readonly local: readonly PoolEndpoint[];
  readonly affinity: Affinity | undefined;
  /** How connections are shared out where the mechanism has a choice; absent: as everywhere in the cluster. */
  readonly scheduler?: SchedulerChoice;
  /** Weights other than 1, by target, of endpoints of either pool; absent when there are none. 0 takes no new connections. */
  readonly weights?: Readonly<Record<string, number>>;
  /** UDP only: targets of every endpoint that still serves. Flows to any other target are stale. */
  readonly serving: readonly string[];
}

/** What the node's health-check listener of a Service must answer. */
export interface ServiceHealth {
  readonly port: number;
  /** Number of distinct addresses of ready endpoints on this node. */
  readonly localEndpoints: number;
}

/** One Service in one family. */
export interface ServicePlan {
  readonly key: ObjectKey;
  /** Sorted by display name, then protocol. */
  readonly ports: readonly ServicePortPlan[];
  readonly health: ServiceHealth | undefined;
}

/** What holds for the node as a whole. */
export interface NodePlan {
  readonly family: Family;
  readonly detector: LocalDetector | undefined;
  /** The packet mark that asks for masquerade: a single bit. */
  readonly masqueradeMark: number;
  readonly nodePorts: NodePortAddresses;
  /** Whether NodePorts answer on 127.0.0.0/8, which needs the protecting drop rule. */
  readonly localhostNodePorts: boolean;
  /** Whether a program of ours serves NodePorts on loopback addresses: packets to them are not for rules to refuse. */
  readonly localhostForwarder?: boolean;
}

/** Everything. `services` holds only Services that have at least one port in this family. */
export interface Plan {
  readonly node: NodePlan;
  readonly services: ReadonlyMap<ObjectKey, ServicePlan>;
}

/** The difference between the Plan and the one that was last taken. */
export interface PlanChange {
  /** Services whose plan is new, different or gone. */
  readonly services: ReadonlySet<ObjectKey>;
  /** The plans of these Services before the change; absent when there was none. */
  readonly before: ReadonlyMap<ObjectKey, ServicePlan>;
  /** Whether anything in `plan.node` differs. */
  readonly node: boolean;
}

/** Whether some route of the policy forwards packets. */
export function forwards(routes: readonly Route[]): boolean {
  return routes.some((route) => route.verdict.kind === "forward");
}

/** The verdict for packets that no narrower route takes; undefined for an empty policy. */
export function defaultVerdict(routes: readonly Route[]): Verdict | undefined {
  return routes.find((route) => route.from === "any")?.verdict;
}
