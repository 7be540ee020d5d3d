/**
 * A pod that goes to another node and keeps its address, as a virtual machine does that is migrated, or a pod with a fixed
 * address: routes follow it, and so do the Services whose endpoint it is.
 *
 * @module
 */
import { undisturbed } from "../daemon/load.ts";
import type { Pod } from "../harness/cluster.ts";
import type { Host } from "../harness/host.ts";
import { type Check, masqueraded, own, type Scene } from "./checks.ts";
import { type Kind, placeOf, ports } from "./services.ts";
import type { Stage } from "./stage.ts";

/** The endpoint of the second node's Services goes to the first and back, while those of the first are used all the time. */
export async function podMoves(stage: Stage): Promise<void> {
  const { cluster } = stage;
  const [to, home] = [cluster.node(0), cluster.node(1)];
  const unmoved = stage.nodes.flatMap((node) =>
    stage.scenes(node).flatMap((scene) => {
      const { clusterIP, nodePort } = placeOf("cluster", 0, scene.v6);
      return [
        { sender: cluster.client, ip: own(node, scene), port: nodePort },
        { sender: scene.beside, ip: clusterIP, port: 80 },
      ];
    }),
  );
  await undisturbed(unmoved, async () => {
    for (const there of [to, home]) {
      const pod = await stage.move(home, there);
      for (const node of stage.nodes) await stage.judge(stage.scenes(node), checksOf(pod, 1));
    }
  });
}

/** What holds on every node for the Services of which a pod is the only endpoint, wherever its address is from. */
function checksOf(pod: Pod, index: number): readonly Check[] {
  const clusterIP = ({ v6 }: Scene): { ip: string; port: number } => ({
    ip: placeOf("cluster", index, v6).clusterIP,
    port: 80,
  });
  const nodePort = (kind: Kind) => (scene: Scene) => ({
    ip: own(scene.node, scene),
    port: placeOf(kind, index, scene.v6).nodePort,
  });
  const fromNode = (scene: Scene): string =>
    `${pod.name} from ${masqueraded(scene, scene.node === pod.node ? "here" : "elsewhere")}`;
  const client = (scene: Scene): Host => scene.client;
  return [
    {
      name: "pod to the ClusterIP of a pod that has moved: source kept",
      from: ({ beside }) => beside,
      to: clusterIP,
      expect: (scene) => `${pod.name} from ${own(scene.beside, scene)}`,
    },
    {
      name: "node to the ClusterIP of a pod that has moved: masqueraded",
      from: ({ node }) => node,
      to: clusterIP,
      expect: fromNode,
    },
    {
      name: "outside to the NodePort of a pod that has moved: masqueraded",
      from: client,
      to: nodePort("cluster"),
      expect: fromNode,
    },
    {
      name: "outside to the NodePort of policy Local of a pod that has moved: source kept where it is, dropped elsewhere",
      from: client,
      to: nodePort("local"),
      expect: (scene) =>
        scene.node === pod.node ? `${pod.name} from ${own(scene.client, scene)}` : "timeout",
    },
    {
      name: "a port of a pod that has moved stays closed by policy",
      when: ({ row }) => row.denies === true,
      protocol: "TCP",
      from: ({ beside }) => beside,
      to: ({ v6 }) => ({ ip: (v6 ? pod.ip6 : pod.ip) ?? "", port: ports.denied }),
      expect: () => "timeout",
    },
  ];
}
