/**
 * Addresses of load balancers that neighbours of this node ask for.
 *
 * @module
 */
import { type Address, type Cidr, cidrContains } from "../../proxier/address.ts";
import { type Facts, type LinkFact, sysctl } from "./facts.ts";
import { type Finding, finding, judged, notSeen, someOf } from "./finding.ts";

/** External addresses inside a network that this node is part of. In ipvs mode the node answers ARP for them. */
export function addressFindings(facts: Facts): readonly Finding[] {
  const id = "load-balancer-subnet";
  const { links, objects, wanted } = facts;
  return [
    judged(id, links, (all) => {
      const bound = all.find(({ name }) => name === "kube-ipvs0")?.own ?? [];
      if (!objects.known && (wanted.mode !== "ipvs" || bound.length === 0)) {
        return notSeen(id, `addresses of Services: ${objects.reason}`);
      }
      const asked = objects.known ? objects.value.externalAddresses.map(({ address }) => address) : bound;
      const near = asked.filter((address) => isNear(all, address) && !isOwn(all, address));
      if (near.length === 0) {
        return finding(id, "ok", "no address of a load balancer lies in a network of this node");
      }
      const text = `${someOf(near)} lies in a network of this node`;
      if (wanted.mode !== "ipvs") {
        return finding(id, "ok", `${text}; ${wanted.mode} mode does not answer ARP for it`);
      }
      const ignore = sysctl(facts, "net/ipv4/conf/all/arp_ignore");
      const strict = ignore.known && ignore.value > 0;
      return finding(
        id,
        strict ? "ok" : "error",
        `${text}, and the node ${strict ? "does not answer" : "answers"} ARP for it`,
      );
    }),
  ];
}

function isNear(links: readonly LinkFact[], address: Address): boolean {
  return links.some(
    ({ name, kind, addresses }) =>
      kind !== "dummy" &&
      name !== "lo" &&
      addresses.some((network) => isWide(network) && cidrContains(network, address)),
  );
}

function isWide({ family, prefix }: Cidr): boolean {
  return family === "IPv4" ? prefix < 32 : prefix < 128;
}

function isOwn(links: readonly LinkFact[], address: Address): boolean {
  return links.some(({ name, own }) => name !== "kube-ipvs0" && own.includes(address));
}
