/**
 * Host ports of the plugin `portmap` beside the proxy's node ports.
 *
 * @module
 */
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Node, Pod } from "../harness/cluster.ts";
import { type Attachment, type CniResult, cniAdd, cniDelete } from "../harness/cni.ts";
import { connect } from "../ipvs/stage.ts";
import { placeOf, ports } from "./services.ts";
import type { Stage } from "./stage.ts";

const hostPort = 18_080;

/**
 * A pod gets two host ports: one of its own, which works, and one that is a Service's node port as well, which the
 * Service keeps: the proxy's rules come first.
 */
export async function hostPortsBesideNodePorts(stage: Stage, node: Node): Promise<void> {
  const { client } = stage.cluster;
  for (const { beside, here, index } of stage.scenes(node).filter(({ v6 }) => !v6)) {
    const { nodePort } = placeOf("cluster", index, false);
    const attachment = portmapOf(node, beside, [hostPort, nodePort]);
    const throughProxy = await connect(client, node.ip, nodePort);
    expect(throughProxy).toContain(here.name);
    await cniAdd(attachment);
    try {
      expect(await connect(client, node.ip, hostPort)).toBe(`${beside.name} from ${client.ip}`);
      expect(await connect(client, node.ip, nodePort)).toBe(throughProxy);
    } finally {
      await cniDelete(attachment);
    }
    expect(await connect(client, node.ip, nodePort)).toBe(throughProxy);
  }
}

function portmapOf(node: Node, pod: Pod, hostPorts: readonly number[]): Attachment {
  const prevResult: CniResult & Readonly<Record<string, unknown>> = {
    cniVersion: "1.0.0",
    interfaces: [{ name: "eth0", sandbox: pod.namespace.path }],
    ips: [{ interface: 0, address: `${pod.ip}/24` } as CniResult["ips"][number]],
  };
  return {
    node: node.namespace,
    pod: pod.namespace,
    containerId: `${pod.namespace.name}-ports`,
    env: { PATH: `${programsOf(node)}:${process.env["PATH"] ?? ""}`, ...node.env },
    configuration: {
      cniVersion: "1.0.0",
      name: "pods",
      type: "portmap",
      snat: true,
      capabilities: { portMappings: true },
      runtimeConfig: {
        portMappings: hostPorts.map((one) => ({ hostPort: one, containerPort: ports.pod, protocol: "tcp" })),
      },
      prevResult,
    },
  };
}

/** A folder where `iptables` is the node's own: the plugin calls it by that name. */
function programsOf(node: Node): string {
  const folder = join(node.directory, "programs");
  if (mkdirSync(folder, { recursive: true }) !== undefined) {
    for (const tool of ["iptables", "ip6tables"]) {
      symlinkSync(`/usr/sbin/${tool}-${node.variant}`, join(folder, tool));
    }
  }
  return folder;
}
