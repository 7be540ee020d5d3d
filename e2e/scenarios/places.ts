/**
 * Who sends packets in a story, with the addresses that a cluster of two nodes with two pods each gives them.
 *
 * @module
 */

/** A machine of the cluster, or the client outside. */
export interface Place {
  readonly name: string;
  readonly ip: string;
  readonly ip6: string;
  /** The node that it is, or that it is on; undefined outside the cluster. */
  readonly node: string | undefined;
}

/** The names of the nodes. */
export const nodeNames: readonly string[] = ["node1", "node2"];

const nodes: readonly Place[] = nodeNames.map((name, index) => ({
  name,
  ip: `172.31.0.${11 + index}`,
  ip6: `fd00:31::${11 + index}`,
  node: name,
}));

const pods: readonly Place[] = nodeNames.flatMap((node, index) =>
  [1, 2].map((number) => ({
    name: `pod${index + 1}-${number}`,
    ip: `10.244.${index + 1}.${number + 1}`,
    ip6: `fd00:244:${index + 1}::${number + 1}`,
    node,
  })),
);

/** Everybody. */
export const places: readonly Place[] = [
  { name: "client", ip: "172.31.1.1", ip6: "fd00:31::1:1", node: undefined },
  ...nodes,
  ...pods,
];

/** Where the client sends what is no node's address: external addresses, and those of Services. */
export const clientGateway = "node1";

/** The addresses that nobody in the cluster has and that the client reaches through {@link clientGateway}. */
export const routedPrefixes = ["10.96.0.0/12", "192.0.2.0/24", "fd00:10:96::/112", "2001:db8::/64"] as const;

/** The place called `name`; it must be there. */
export function placeOf(name: string): Place {
  const place = places.find((one) => one.name === name);
  if (place === undefined) {
    throw new RangeError(`Cannot find place: there is none called ${name}`);
  }
  return place;
}

/** All addresses of a node, those that its pods see it by included. */
export function addressesOf(node: string): readonly string[] {
  const { ip, ip6 } = placeOf(node);
  const number = nodeNames.indexOf(node) + 1;
  return [ip, ip6, `10.244.${number}.1`, `fd00:244:${number}::1`];
}
