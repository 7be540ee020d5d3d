/**
 * A node's connection tracking table, read with `conntrack`: which flow went to which endpoint.
 *
 * @module
 */
import type { Node } from "../harness/cluster.ts";

/** A UDP flow. */
export interface UdpFlow {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** `ip:port` or `[ip]:port` that the packets were sent on to: the destination itself when nobody translated them. */
  readonly endpoint: string;
}

const line =
  /src=(?<source>\S+) dst=(?<destination>\S+) sport=(?<sourcePort>\d+) dport=(?<destinationPort>\d+) .*?src=(?<target>\S+) dst=\S+ sport=(?<targetPort>\d+) /;

/** The UDP flows of a node. */
export async function udpFlows(node: Node, family: "ipv4" | "ipv6" = "ipv4"): Promise<readonly UdpFlow[]> {
  const { stdout } = await node.exec(["conntrack", "-L", "-f", family, "-p", "udp"]);
  return stdout.split("\n").flatMap((text) => {
    const { source, destination, sourcePort, destinationPort, target, targetPort } =
      line.exec(text)?.groups ?? {};
    if (source === undefined || destination === undefined) {
      return [];
    }
    return [
      {
        source,
        sourcePort: Number(sourcePort),
        destination,
        destinationPort: Number(destinationPort),
        endpoint: family === "ipv4" ? `${target}:${targetPort}` : `[${target}]:${targetPort}`,
      },
    ];
  });
}

/** Makes a node forget all connections. */
export async function forgetFlows(node: Node): Promise<void> {
  await node.exec(["conntrack", "-F"]);
}
