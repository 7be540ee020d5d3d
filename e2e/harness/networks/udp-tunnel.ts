/**
 * Flannel's backend udp: a program on each node takes the packets for other nodes' pods from a tun device and sends them
 * as UDP datagrams.
 *
 * @module
 */
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { NetworkNode, NodeAddresses, PodNetwork } from "../pod-network.ts";
import { nodeProgram } from "../remote-agent.ts";
import { flannelBridge } from "./flannel.ts";
import type { TunnelOptions } from "./udp-forwarder.ts";

const script = fileURLToPath(new URL("udp-forwarder.ts", import.meta.url));
const device = "flannel0";
/** The headers of an outer IPv4 and UDP packet are taken from the link's 1500 bytes. */
const mtu = 1472;

const running = new Map<string, () => Promise<void>>();

/** Flannel's backend udp. It knows IPv4 only. */
export function udpTunnel(): PodNetwork {
  const base = flannelBridge("udp", mtu);
  return {
    ...base,
    // The device, and with it the routes, are the program's.
    connect: () => [],
    start: async (node, others) => {
      await base.start(node, others);
      await startForwarder(node, others);
      await node.namespace.ip([
        `addr add ${node.addresses.podCidr.replace(/\/.*/, "")}/32 dev ${device}`,
        `link set ${device} mtu ${mtu} up`,
        ...others.map(({ podCidr }) => `route replace ${podCidr} dev ${device}`),
      ]);
    },
    stop: async (node) => {
      const stop = running.get(node.namespace.name);
      running.delete(node.namespace.name);
      await stop?.();
      await base.stop?.(node);
    },
  };
}

async function startForwarder(node: NetworkNode, others: readonly NodeAddresses[]): Promise<void> {
  const options: TunnelOptions = {
    device,
    address: node.addresses.ip,
    routes: others.map(({ podCidr, ip }) => ({ prefix: podCidr.replace(/\.0\/24$/, "."), to: ip })),
  };
  const child = node.spawn([nodeProgram, script, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  running.set(node.namespace.name, async () => {
    child.kill("SIGKILL");
    await ended;
  });
  if (child.stdout === null) throw new Error("Cannot wait for the tunnel");
  await Promise.race([
    once(child.stdout, "data"),
    ended.then(() => Promise.reject(new Error("Cannot start the tunnel"))),
  ]);
}
