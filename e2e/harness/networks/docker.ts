/**
 * A single bridge, as Docker makes it: a node's pods reach each other and the outside, and nobody reaches them.
 *
 * Docker closes FORWARD to everything but what its own containers began. The addresses are the node's range of the
 * cluster, as with Docker's setting `bip`.
 *
 * @module
 */
import { bridge, type PodNetwork } from "../pod-network.ts";
import { podRanges, type RuleTables, writeRules } from "./rules.ts";

/** What may differ from one Docker to another. */
export interface DockerOptions {
  /** Whether a pod's own packets come back to it: off with Docker's userland proxy, which is its default. */
  readonly hairpin?: boolean;
}

/** Docker's network. */
export function docker({ hairpin = true }: DockerOptions = {}): PodNetwork {
  return {
    name: "docker",
    leftovers: ["link del docker0"],
    configuration: (node, ipamDirectory) => ({
      ...bridge().configuration(node, ipamDirectory),
      bridge: "docker0",
      hairpinMode: hairpin,
    }),
    connect: () => [],
    start: (node) => writeRules(node, (family) => startingRules(podRanges(node.addresses, family).node)),
    stop: (node) => writeRules(node, (family) => endingRules(podRanges(node.addresses, family).node)),
  };
}

/** Docker puts its own in front of everything. */
const forward = [
  "-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  "-o docker0 -j DOCKER",
  "-i docker0 ! -o docker0 -j ACCEPT",
  "-i docker0 -o docker0 -j ACCEPT",
];

function startingRules(range: string): RuleTables {
  return {
    nat: [`-A POSTROUTING -s ${range} ! -o docker0 -j MASQUERADE`],
    filter: [
      ":FORWARD DROP [0:0]",
      ":DOCKER - [0:0]",
      ":DOCKER-USER - [0:0]",
      ...forward.map((rule, index) => `-I FORWARD ${index + 1} ${rule}`),
      "-I FORWARD -j DOCKER-USER",
    ],
  };
}

function endingRules(range: string): RuleTables {
  return {
    nat: [`-D POSTROUTING -s ${range} ! -o docker0 -j MASQUERADE`],
    filter: [
      ":FORWARD ACCEPT [0:0]",
      ...[...forward, "-j DOCKER-USER"].map((rule) => `-D FORWARD ${rule}`),
      ...["DOCKER", "DOCKER-USER"].flatMap((chain) => [`-F ${chain}`, `-X ${chain}`]),
    ],
  };
}
