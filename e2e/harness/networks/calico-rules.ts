/**
 * Felix's chains, in the shape that they have on a node with one policy: all that is allowed, and what a pod refuses.
 *
 * As in Calico, bits 0xffff0000 of the mark are its own: 0x10000 is "accepted". It stands in front of every other rule
 * of a built-in chain and puts itself there again when somebody else did.
 *
 * @module
 */
import type { NetworkNode } from "../pod-network.ts";
import { podRanges, type RuleFamily, type RuleTables, writeRules } from "./rules.ts";

/** A port that no pod lets anybody connect to: the policy that tests can see at work. */
export const deniedPort = 8081;

/**
 * What a pod has sent to its node and IPVS sends on passes INPUT and OUTPUT, not FORWARD. Felix knows it there by bits of the
 * mark, once it has seen the device kube-ipvs0; here it always looks.
 */
const fromPod = "0x100000/0x100000";

const jumps: Readonly<Record<string, readonly string[]>> = {
  raw: ["PREROUTING -j cali-PREROUTING"],
  filter: ["INPUT -j cali-INPUT", "FORWARD -j cali-FORWARD", "OUTPUT -j cali-OUTPUT"],
  nat: ["PREROUTING -j cali-PREROUTING", "OUTPUT -j cali-OUTPUT", "POSTROUTING -j cali-POSTROUTING"],
};

const chains: Readonly<Record<string, readonly string[]>> = {
  raw: ["cali-PREROUTING"],
  filter: ["cali-INPUT", "cali-FORWARD", "cali-OUTPUT", "cali-wl-to-host"],
  nat: ["cali-PREROUTING", "cali-OUTPUT", "cali-POSTROUTING", "cali-nat-outgoing"],
};

/** The chains that lead to those of the pods. */
const dispatch = ["cali-from-wl-dispatch", "cali-to-wl-dispatch"];

/** Puts the chains in front, with what does not depend on pods. */
export async function felixStarts(node: NetworkNode): Promise<void> {
  for (const tool of ["iptables", "ip6tables"]) {
    // They are there already when Felix starts again, and lead to the pods' chains.
    for (const chain of dispatch) {
      await node.exec([`${tool}-${node.variant}`, "-w", "5", "-N", chain], { anyStatus: true });
    }
  }
  await writeRules(node, (family) => startingRules(node, family));
}

/** Moves the jumps in front again. */
export function felixRefreshes(node: NetworkNode): Promise<void> {
  return writeRules(node, () =>
    Object.fromEntries(
      Object.entries(jumps).map(([table, some]) => [
        table,
        some.flatMap((jump) => [`-D ${jump}`, `-I ${jump}`]),
      ]),
    ),
  );
}

/** Takes the jumps away, and the chains that name no pod. Those of pods stay as long as the pods. */
export function felixEnds(node: NetworkNode): Promise<void> {
  return writeRules(node, () =>
    Object.fromEntries(
      Object.entries(jumps).map(([table, some]) => [table, some.map((jump) => `-D ${jump}`)]),
    ),
  );
}

/** The chains of one pod: what comes from it and what goes to it. */
export function endpointRules(node: NetworkNode, link: string): Promise<void> {
  const accepted = "-j MARK --set-xmark 0x10000/0x10000";
  return writeRules(node, () => ({
    filter: [
      `:cali-fw-${link} - [0:0]`,
      `:cali-tw-${link} - [0:0]`,
      `-A cali-fw-${link} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `-A cali-fw-${link} -m conntrack --ctstate INVALID -j DROP`,
      `-A cali-fw-${link} ${accepted}`,
      `-A cali-tw-${link} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `-A cali-tw-${link} -m conntrack --ctstate INVALID -j DROP`,
      `-A cali-tw-${link} -p tcp --dport ${deniedPort} -j DROP`,
      `-A cali-tw-${link} ${accepted}`,
      `-I cali-from-wl-dispatch -i ${link} -g cali-fw-${link}`,
      `-I cali-to-wl-dispatch -o ${link} -g cali-tw-${link}`,
    ],
  }));
}

/** Takes the chains of one pod away. */
export function withoutEndpointRules(node: NetworkNode, link: string): Promise<void> {
  return writeRules(node, () => ({
    filter: [
      `-D cali-from-wl-dispatch -i ${link} -g cali-fw-${link}`,
      `-D cali-to-wl-dispatch -o ${link} -g cali-tw-${link}`,
      ...["fw", "tw"].flatMap((kind) => [`-F cali-${kind}-${link}`, `-X cali-${kind}-${link}`]),
    ],
  }));
}

function startingRules(node: NetworkNode, family: RuleFamily): RuleTables {
  const { cluster } = podRanges(node.addresses, family);
  const declared = (table: string): readonly string[] =>
    (chains[table] ?? []).map((chain) => `:${chain} - [0:0]`);
  const inFront = (table: string): readonly string[] => (jumps[table] ?? []).map((jump) => `-I ${jump}`);
  return {
    raw: [
      ...declared("raw"),
      ...inFront("raw"),
      "-A cali-PREROUTING -j MARK --set-xmark 0x0/0xf0000",
      "-A cali-PREROUTING -i cali+ -j MARK --set-xmark 0x40000/0x40000",
      "-A cali-PREROUTING -m mark --mark 0x40000/0x40000 -m rpfilter --validmark --invert -j DROP",
    ],
    filter: [
      ...declared("filter"),
      ...inFront("filter"),
      "-A cali-INPUT -i cali+ -g cali-wl-to-host",
      `-A cali-wl-to-host -j MARK --set-xmark ${fromPod}`,
      "-A cali-wl-to-host -j cali-from-wl-dispatch",
      "-A cali-wl-to-host -j ACCEPT",
      `-A cali-OUTPUT -o cali+ -m mark --mark ${fromPod} -j cali-to-wl-dispatch`,
      "-A cali-FORWARD -j MARK --set-xmark 0x0/0xe0000",
      "-A cali-FORWARD -i cali+ -j cali-from-wl-dispatch",
      "-A cali-FORWARD -o cali+ -j cali-to-wl-dispatch",
      "-A cali-FORWARD -m mark --mark 0x10000/0x10000 -j ACCEPT",
    ],
    nat: [
      ...declared("nat"),
      ...inFront("nat"),
      "-A cali-POSTROUTING -j cali-nat-outgoing",
      `-A cali-nat-outgoing -s ${cluster} ! -d ${cluster} -j MASQUERADE --random-fully`,
    ],
  };
}
