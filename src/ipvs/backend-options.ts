/**
 * What the backend of a family is made of.
 *
 * @module
 */
import type { NetlinkConnection } from "../netlink/connection.ts";
import type { Cidr } from "../proxier/address.ts";
import type { Clock } from "../proxier/clock.ts";
import type { ObjectKey, Problem } from "../proxier/objects.ts";
import type { ReservedAddresses } from "./local-addresses.ts";
import type { IpvsClient } from "./netlink/client.ts";
import type { RuleKeeper } from "./rule-keeper.ts";
import type { ServerTable } from "./table-file.ts";

/** The ways to the kernel. The backend owns them and closes them with itself. */
export interface IpvsDoors {
  readonly ipvs: IpvsClient;
  /** Protocol "netfilter". */
  readonly sets: NetlinkConnection;
  /** Protocol "route". */
  readonly route: NetlinkConnection;
  /** The table of IPVS as text. */
  readonly table: ServerTable;
  readonly rules: RuleKeeper;
}

/** What does not change while the backend lives. */
export interface IpvsOptions {
  readonly nodeName: string;
  /** The scheduler of Services that ask for none. */
  readonly scheduler: string;
  readonly reserved: ReservedAddresses;
  /** Networks whose virtual servers are never deleted. */
  readonly excludeCIDRs: readonly Cidr[];
  /** How long a real server may drain; 0: not at all. */
  readonly drainMs: number;
  /** Whether hairpin traffic is recognised by a set of all endpoints. */
  readonly hairpinSet: boolean;
  readonly clock: Clock;
  /** Told what is wrong with a Service in this mode; replaces what was said before. Must not throw. */
  readonly onProblems: (service: ObjectKey, problems: readonly Problem[]) => void;
}
