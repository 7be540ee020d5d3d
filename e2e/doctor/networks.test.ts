/**
 * `doctor` beside each pod network: it is recognised, and no trap is seen where there is none.
 *
 * @module
 */
import { expect, test } from "vitest";
import { createCluster } from "../harness/cluster.ts";
import { calico } from "../harness/networks/calico.ts";
import { docker } from "../harness/networks/docker.ts";
import { hostGateway } from "../harness/networks/flannel.ts";
import { vxlan } from "../harness/networks/vxlan.ts";
import { type PodNetwork, ptp } from "../harness/pod-network.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { runDoctor } from "./run-doctor.ts";

/** Findings about pod networks. */
const ids = [
  "pod-network",
  "tunnel-mtu",
  "vxlan-checksum",
  "cni-masquerade",
  "mark-overlap",
  "rp-filter",
  "hairpin",
  "bridge-nf-call",
  "forward-policy",
];

const networks: readonly (readonly [string, PodNetwork, Readonly<Record<string, string>>])[] = [
  ["bridge with routes between nodes (flannel host-gw)", hostGateway(), {}],
  ["flannel VXLAN", vxlan(), {}],
  ["Calico", calico(), {}],
  ["a link to each pod (ptp)", ptp(), {}],
  ["Docker's bridge", docker({ hairpin: false }), { "cni-masquerade": "warning", hairpin: "warning" }],
];

describeOnKernel(
  "doctor beside a pod network",
  { programs: ["iptables-nft"], plugins: ["bridge", "ptp"] },
  () => {
    test.each(networks)("recognises %s", async (kind, podNetwork, traps) => {
      await using cluster = await createCluster({ nodes: 2, podsPerNode: 1, podNetwork, variant: "nft" });
      const { findings, what } = await runDoctor(cluster.node(0), {});
      expect(what("pod-network")).toBe(kind);
      const wrong = findings.filter(({ id, level }) => ids.includes(id) && level !== "ok");
      expect(Object.fromEntries(wrong.map(({ id, level }) => [id, level]))).toEqual(traps);
    });
  },
);
