/**
 * A mode as the daemon sees it: what opens a backend for a family, and what watches over it between syncs.
 *
 * @module
 */
import type { AffinityMemory } from "../affinity/remembered-client.ts";
import type { ProxyConfig } from "../config/proxy-config.ts";
import type { Variant } from "../iptables/tools.ts";
import type { LogFields, Logger } from "../operations/logger.ts";
import type { Address, Family } from "../proxier/address.ts";
import type { Backend } from "../proxier/backend.ts";
import type { NodeObject, ObjectKey, Problem } from "../proxier/objects.ts";
import type { NodePlan } from "../proxier/plan.ts";
import type { Proxier } from "../proxier/proxier.ts";
import type { SyncScope } from "../proxier/sync-loop.ts";

/** What a mode may use of the daemon. */
export interface ModeContext {
  readonly config: ProxyConfig;
  readonly nodeName: string;
  readonly log: Logger;
  /** What is wrong with a Service in this mode only; replaces what was said before. */
  readonly onProblems: (family: Family, service: ObjectKey, problems: readonly Problem[]) => void;
  /** How many clients per endpoint each mechanism remembers. */
  readonly onAffinityLimit: (mechanism: "recent" | "set", limit: number) => void;
}

/** A mode on this host. */
export interface OpenMode {
  /** Families that work, at least one. */
  readonly families: readonly Family[];
  /** The iptables programs in use. */
  readonly variant: Variant;
  /**
   * Does what takes more rights than serving does, and has not been done by opening the mode.
   *
   * @throws CommandError when it is not possible
   */
  initialize(): void;
  /** Sets back what opening the mode has changed for the host as a whole: it will not serve. Never fails. */
  abandon(): void;
  /** Opens the backend of a family. The Node object is the one of the start, if there was one. */
  open(plan: NodePlan, node: NodeObject | undefined): Promise<OpenBackend>;
}

/** A backend of one family. */
export interface OpenBackend {
  readonly backend: Backend;
  /** Which clients it remembers. */
  readonly memory: AffinityMemory;
  /** What was found, for the log. */
  readonly details: LogFields;
  /**
   * Addresses of this node's interfaces, where the backend is told of them anyway: reading them costs time for each, and ipvs
   * mode has one for each Service. Undefined while it does not know them.
   */
  readonly localAddresses?: () => readonly Address[] | undefined;
  /** Makes what watches over the backend. Not called for a single sync. */
  watch(proxier: Proxier): Watch;
}

/** Looks after a backend between syncs. */
export interface Watch {
  /** After every successful sync; the first one starts the watch. */
  synced(scope: SyncScope, durationMs: number): void;
  stop(): void;
}
