/**
 * A case and rules for it, both made by hand, in the manner of kube-proxy's. They are to test the runner of cases, so
 * they hold one of each thing that it must tell apart.
 *
 * @module
 */
import type { Expectation, Flow, FlowCase } from "../cases/cases.ts";
import type { Protocol } from "../model/cluster.ts";

const POD = "10.0.0.2";
const OUTSIDE = "203.0.113.2";
const NODE = "192.168.0.2";

type To = readonly [address: string, port: number, protocol?: Protocol];

function flow(
  name: string,
  sourceIP: string,
  to: To,
  endpoints: Expectation["endpoints"],
  masquerade = false,
): Flow {
  const [destIP, destPort, protocol = "TCP"] = to;
  return { name, sourceIP, destIP, protocol, destPort, expect: { endpoints, masquerade } };
}

function flowCase(name: string, ipFamily: "IPv4" | "IPv6", flows: readonly Flow[], sticky = false): FlowCase {
  return {
    name,
    source: "made by hand",
    origin: "synthetic",
    backends: ["iptables"],
    node: {
      name: "node1",
      zone: "",
      ips: { IPv4: NODE },
      localIPs: ["127.0.0.1", "::1", NODE, "2001:db8::1"],
    },
    config: {
      ipFamily,
      detectLocalMode: "ClusterCIDR",
      clusterCIDRs: ["10.0.0.0/8"],
      nodePortAddresses: [],
      localhostNodePorts: true,
      masqueradeAll: false,
      masqueradeBit: 14,
      serviceCIDRs: [],
    },
    services: [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { namespace: "ns", name: "svc" },
        spec: { sessionAffinity: sticky ? "ClientIP" : "None" },
      },
    ],
    endpointSlices: [],
    flows,
  };
}

const WEB = ["10.180.0.1:8080", "10.180.0.2:8080"];

/** One flow of each kind that a case can ask for. */
export const everyKind: FlowCase = flowCase("every-kind", "IPv4", [
  flow("pod to cluster IP", POD, ["172.30.0.41", 80], WEB),
  flow("outside to cluster IP", OUTSIDE, ["172.30.0.41", 80], WEB, true),
  flow("node to node port", NODE, [NODE, 3001], WEB, true),
  flow("outside to node port", OUTSIDE, [NODE, 3001], WEB, true),
  flow("pod to itself", "10.180.0.1", ["172.30.0.42", 80], ["10.180.0.1:8080"], true),
  flow("UDP", POD, ["172.30.0.41", 53, "UDP"], ["10.180.0.1:53"]),
  flow("SCTP", POD, ["172.30.0.41", 9, "SCTP"], ["10.180.0.1:9"]),
  flow("rejected", POD, ["172.30.0.43", 80], "REJECT"),
  flow("rejected UDP", POD, ["172.30.0.43", 53, "UDP"], "REJECT"),
  flow("rejected SCTP", POD, ["172.30.0.43", 9, "SCTP"], "REJECT"),
  flow("rejected, from the node", NODE, ["172.30.0.43", 80], "REJECT"),
  flow("rejected UDP, from the node", NODE, ["172.30.0.43", 53, "UDP"], "REJECT"),
  flow("rejected on the node", OUTSIDE, [NODE, 3003], "REJECT"),
  flow("rejected on the node, from the node", NODE, [NODE, 3003], "REJECT"),
  flow("dropped", OUTSIDE, ["172.30.0.44", 80], "DROP"),
  flow("dropped, from the node", NODE, ["172.30.0.44", 80], "DROP"),
  flow("dropped UDP, from the node", NODE, ["172.30.0.44", 53, "UDP"], "DROP"),
  flow("dropped on the node", OUTSIDE, [NODE, 3004], "DROP"),
  flow("dropped on the node, from the node", NODE, [NODE, 3004], "DROP"),
  flow("nobody's", POD, ["8.8.8.8", 80], ""),
  flow("nobody's, UDP", POD, ["8.8.8.8", 53, "UDP"], ""),
  flow("nobody's, from the node", NODE, ["8.8.8.8", 80], ""),
  flow("nobody's on the node", OUTSIDE, [NODE, 9999], ""),
  flow("nobody's on the node, UDP", OUTSIDE, [NODE, 9999, "UDP"], ""),
  flow("nobody's on the node, from the node", "127.0.0.1", ["127.0.0.1", 9999], ""),
  flow("accepted on the node", OUTSIDE, [NODE, 3005], "ACCEPT"),
]);

/** Rules under which all flows of `everyKind` meet the fate they should. */
export const everyKindRules: string = `*filter
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT
-A KUBE-SERVICES -d 172.30.0.44/32 -j DROP
-A INPUT -d 192.168.0.2/32 -p tcp -m tcp --dport 3003 -j REJECT
-A INPUT -d 192.168.0.2/32 -p tcp -m tcp --dport 3004 -j DROP
-A INPUT -d 192.168.0.2/32 -p tcp -m tcp --dport 3005 -j ACCEPT
COMMIT
*nat
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-EXT-WEB - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-SVC-ONE - [0:0]
:KUBE-SEP-1 - [0:0]
:KUBE-SEP-2 - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
-A KUBE-SERVICES -d 172.30.0.41/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SERVICES -d 172.30.0.42/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-ONE
-A KUBE-SERVICES -d 192.168.0.2/32 -p tcp -m tcp --dport 3001 -j KUBE-EXT-WEB
-A KUBE-SERVICES -d 172.30.0.41/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.180.0.1:53
-A KUBE-SERVICES -d 172.30.0.41/32 -p sctp -m sctp --dport 9 -j DNAT --to-destination 10.180.0.1:9
-A KUBE-EXT-WEB -j KUBE-MARK-MASQ
-A KUBE-EXT-WEB -j KUBE-SVC-WEB
-A KUBE-SVC-WEB ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ
-A KUBE-SVC-WEB -m statistic --mode random --probability 0.5 -j KUBE-SEP-1
-A KUBE-SVC-WEB -j KUBE-SEP-2
-A KUBE-SVC-ONE -j KUBE-SEP-1
-A KUBE-SEP-1 -s 10.180.0.1/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-1 -p tcp -m tcp -j DNAT --to-destination 10.180.0.1:8080
-A KUBE-SEP-2 -s 10.180.0.2/32 -j KUBE-MARK-MASQ
-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.180.0.2:8080
COMMIT
`;

/** The same for IPv6, with what may differ there. */
export const everyKind6: FlowCase = flowCase("every-kind-6", "IPv6", [
  flow("pod to cluster IP", "fd00:10::2", ["fd00:172::41", 80], ["[fd00:10::a]:8080", "[fd00:10::b]:8080"]),
  flow(
    "outside to cluster IP",
    "2600::1",
    ["fd00:172::41", 80],
    ["[fd00:10::a]:8080", "[fd00:10::b]:8080"],
    true,
  ),
  flow(
    "node to cluster IP",
    "2001:db8::1",
    ["fd00:172::41", 80],
    ["[fd00:10::a]:8080", "[fd00:10::b]:8080"],
    true,
  ),
  flow("UDP", "fd00:10::2", ["fd00:172::41", 53, "UDP"], ["[fd00:10::a]:53"]),
  flow("SCTP", "fd00:10::2", ["fd00:172::41", 9, "SCTP"], ["[fd00:10::a]:9"]),
  flow("rejected", "fd00:10::2", ["fd00:172::43", 80], "REJECT"),
  flow("rejected, from the node", "2001:db8::1", ["fd00:172::43", 80], "REJECT"),
  flow("dropped", "fd00:10::2", ["fd00:172::44", 80], "DROP"),
  flow("nobody's", "fd00:10::2", ["2600::2", 80], ""),
  flow("nobody's on the node", "2600::1", ["2001:db8::1", 9999], ""),
  flow("nobody's on the node, from the node", "::1", ["::1", 9999], ""),
]);

/** Rules for `everyKind6`. */
export const everyKind6Rules: string = `*filter
-A FORWARD -d fd00:172::43/128 -j REJECT
-A OUTPUT -d fd00:172::43/128 -j REJECT
-A FORWARD -d fd00:172::44/128 -j DROP
COMMIT
*nat
:KUBE-SERVICES - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING ! -s fd00:10::/64 -d fd00:10::/64 -j MASQUERADE --random-fully
-A KUBE-SERVICES -d fd00:172::41/128 -p udp -m udp --dport 53 -j DNAT --to-destination [fd00:10::a]:53
-A KUBE-SERVICES -d fd00:172::41/128 -p sctp -m sctp --dport 9 -j DNAT --to-destination [fd00:10::a]:9
-A KUBE-SERVICES ! -d fd00:172::41/128 -j RETURN
-A KUBE-SERVICES -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination [fd00:10::a]:8080
-A KUBE-SERVICES -p tcp -j DNAT --to-destination [fd00:10::b]:8080
COMMIT
`;

/** A Service with session affinity: each client alone would only ever see one endpoint. */
export const sticky: FlowCase = flowCase(
  "sticky",
  "IPv4",
  [
    flow("pod to cluster IP", POD, ["172.30.0.41", 80], WEB),
    flow("rejected", POD, ["172.30.0.43", 80], "REJECT"),
  ],
  true,
);

/** Rules for `sticky`. */
export const stickyRules: string = `*filter
-A FORWARD -d 172.30.0.43/32 -j REJECT
COMMIT
*nat
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-1 - [0:0]
:KUBE-SEP-2 - [0:0]
-A PREROUTING -d 172.30.0.41/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SVC-WEB -m recent --rcheck --seconds 600 --reap --name KUBE-SEP-1 --rsource -j KUBE-SEP-1
-A KUBE-SVC-WEB -m recent --rcheck --seconds 600 --reap --name KUBE-SEP-2 --rsource -j KUBE-SEP-2
-A KUBE-SVC-WEB -m statistic --mode random --probability 0.5 -j KUBE-SEP-1
-A KUBE-SVC-WEB -j KUBE-SEP-2
-A KUBE-SEP-1 -p tcp -m recent --set --name KUBE-SEP-1 --rsource -m tcp -j DNAT --to-destination 10.180.0.1:8080
-A KUBE-SEP-2 -p tcp -m recent --set --name KUBE-SEP-2 --rsource -m tcp -j DNAT --to-destination 10.180.0.2:8080
COMMIT
`;
