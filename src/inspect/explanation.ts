/**
 * What `explain` answers, as it is printed with `--output json`. docs/inspection.md describes it.
 *
 * @module
 */
import type { Exclusion } from "../proxier/endpoint-selection.ts";
import type { FrontendKind, Pool } from "../proxier/plan.ts";
import type { RememberedClient, Verdict } from "./ask-node.ts";
import type { ForwardedPort } from "./explain-localhost.ts";
import type { MasqueradeReason, RefusalReason } from "./explain-plan.ts";

/** Who sends the packet. */
export type Sender = "pod" | "node" | "outside" | "unknown";

/** A rule, or a virtual server of IPVS, that the packet met. */
export interface MetRule {
  readonly table: string;
  /** As iptables-save prints it. */
  readonly rule: string;
}

/** A place where the packet may go. */
export interface ExplainedDestination {
  readonly endpoint: string;
  readonly probability: number;
  readonly masquerade: boolean;
  /** Its address is one of this node's: packets from outside pass nothing there that could masquerade them. */
  readonly onThisNode: boolean;
  /** What becomes of it on the way: a rule of somebody else may still end it. */
  readonly verdict: "forward" | "drop" | "reject";
  /** What gave it this destination. */
  readonly translatedBy?: MetRule;
  readonly masqueradedBy?: MetRule;
  readonly refusedBy?: MetRule;
}

/** Why an endpoint takes no new connections. */
export type EndpointReason =
  | Exclusion
  /** Of IPVS. */
  | "weight-0"
  /** By the objects it is in, but the kernel does not have it: not synced yet, or its Service's rules were refused. */
  | "not-in-kernel";

/** An endpoint of the service port. */
export interface ExplainedEndpoint {
  readonly endpoint: string;
  readonly in: boolean;
  /** Present when it is out. */
  readonly reason?: EndpointReason;
  readonly node: string;
  readonly zone: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** Nodes or zones that its hints name, where that is the reason. */
  readonly hints?: readonly string[];
  /** Of IPVS. */
  readonly weight?: number;
}

/** The service port that the packet came to. */
export interface ExplainedService {
  /** `namespace/name`. */
  readonly service: string;
  /** `namespace/name:port`. */
  readonly port: string;
  readonly frontend: {
    readonly kind: FrontendKind;
    readonly address?: string;
    readonly port: number;
    readonly protocol: string;
  };
  readonly policy: {
    readonly field: "internalTrafficPolicy" | "externalTrafficPolicy";
    readonly value: "Cluster" | "Local";
  };
  /** Absent when everybody may come. */
  readonly allowedSources?: { readonly ranges: readonly string[]; readonly admitted: boolean };
  /** The endpoints that were chosen from: of the cluster or of this node. */
  readonly pool: Pool;
  readonly endpoints: readonly ExplainedEndpoint[];
  /** Absent without session affinity. */
  readonly affinityTimeoutSeconds?: number;
  /** What is wrong with its objects. */
  readonly problems: readonly string[];
}

/** The answer. */
export interface Explanation {
  readonly connection: {
    readonly from: string;
    readonly to: string;
    readonly port: number;
    readonly protocol: string;
    readonly family: string;
    readonly sender: Sender;
    /** The interface that it is taken to come in by. */
    readonly via?: string;
  };
  /** Whose rules the packet meets; `none` where no proxy's are in the kernel. */
  readonly mode: "iptables" | "ipvs" | "none";
  /** What the verdict was read from. */
  readonly readFrom: "kernel" | "objects";
  readonly verdict: Verdict;
  /** Why a packet is not forwarded, where objects tell; `other-port`: the address is a Service's, the port is not. */
  readonly refusal?: RefusalReason | "other-port";
  /** Empty unless the packet is translated. */
  readonly destinations: readonly ExplainedDestination[];
  /** How the virtual server of IPVS chooses that takes the packet. */
  readonly scheduler?: string;
  /** Why its source is replaced or not, where objects tell; a hairpin destination has its own reason. */
  readonly masqueradeReason?: MasqueradeReason;
  /** What decided, in the order of the packet's way; of the first destinations one after the other where their ways part. */
  readonly rules: readonly MetRule[];
  /** Present where the program itself is to take the connection, at a node port of localhost. */
  readonly forwarder?: ForwardedPort;
  /** The rule that ended the packet. */
  readonly refusedBy?: MetRule;
  /** The client's entry, if it has one. */
  readonly affinityEntry?: RememberedClient;
  /** Where the client goes when it is not remembered any more; present only with an entry. */
  readonly withoutAffinity?: readonly ExplainedDestination[];
  /** Absent where no objects are known, or none is meant. */
  readonly service?: ExplainedService;
  /** What the kernel holds otherwise than the objects ask for, in sentences. */
  readonly drift: readonly string[];
  /** What the answer could not take into account, in sentences. */
  readonly notes: readonly string[];
}
