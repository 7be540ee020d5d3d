/**
 * Loads the packet-flow cases of `flows.json`; README.md beside it describes the format.
 *
 * A case is a {@link Cluster} with expectations attached, so it can be handed to the model as it is.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { Cluster, Packet, Protocol } from "../model/cluster.ts";

/** A backend that a case or a flow speaks about. */
export type CaseBackend = "iptables" | "nftables";

/** What becomes of a packet. `endpoints` is a list of possible destinations or a single verdict, `""` meaning untouched. */
export interface Expectation {
  readonly endpoints: readonly string[] | "DROP" | "REJECT" | "ACCEPT" | "";
  /** Whether the source is masqueraded; without meaning unless `endpoints` is a list. */
  readonly masquerade: boolean;
}

/** The first packet of a connection and its expected fate. */
export interface Flow {
  readonly name: string;
  readonly sourceIP: string;
  readonly destIP: string;
  readonly protocol: Protocol;
  readonly destPort: number;
  readonly expect: Expectation;
  /** Narrows the backends of the case. */
  readonly backends?: readonly CaseBackend[];
}

/** One cluster state with the flows to be tried in it. */
export interface FlowCase extends Cluster {
  readonly name: string;
  readonly source: string;
  readonly origin: "upstream-test" | "derived-from-upstream-test" | "synthetic";
  readonly note?: string;
  readonly backends: readonly CaseBackend[];
  readonly flows: readonly Flow[];
  /** Service ports without local endpoints under a Local policy, by kind of policy. */
  readonly expectMetrics?: {
    readonly sync_proxy_rules_no_local_endpoints_total: {
      readonly internal: number;
      readonly external: number;
    };
  };
}

const FORMAT = "kube-proxy-flow-cases/v1";

/** Reads all cases. Throws a `SyntaxError` when the file is not of the format that this loader knows. */
export function loadCases(): readonly FlowCase[] {
  const file = new URL("flows.json", import.meta.url);
  const content = JSON.parse(readFileSync(file, "utf8")) as { format?: unknown; cases?: unknown };
  if (content.format !== FORMAT || !Array.isArray(content.cases)) {
    throw new SyntaxError(
      `Cannot read cases: format is "${content.format}", not "${FORMAT}" with a list of cases`,
    );
  }
  return content.cases as readonly FlowCase[];
}

/** The flows of `flowCase` that say something about `backend`. */
export function flowsFor(flowCase: FlowCase, backend: CaseBackend): readonly Flow[] {
  return flowCase.flows.filter((flow) => (flow.backends ?? flowCase.backends).includes(backend));
}

/**
 * The packet of a flow. A source that is an address of the node is a process on it (no input interface); every other
 * packet arrives through `interfaceName`.
 */
export function packetOf(flowCase: FlowCase, flow: Flow, interfaceName = "eth0"): Packet {
  const { sourceIP, destIP, protocol, destPort } = flow;
  const onNode = [...flowCase.node.localIPs, "127.0.0.1", "::1"].includes(sourceIP);
  return { sourceIP, destIP, protocol, destPort, ...(onNode ? {} : { inputInterface: interfaceName }) };
}
