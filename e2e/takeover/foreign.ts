/**
 * What kubelet, pod networks and others have on a node, some of it with names much like kube-proxy's.
 *
 * @module
 */
import type { Node } from "../harness/cluster.ts";
import type { Variant } from "../harness/iptables-variant.ts";

const filter4 = `*filter
:KUBE-FIREWALL - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
:KUBE-NWPLCY-DEFAULT - [0:0]
:KUBE-ROUTER-INPUT - [0:0]
:FLANNEL-FWD - [0:0]
:cali-FORWARD - [0:0]
:cali-tw-cali1234 - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
-A INPUT -m comment --comment "kube-router netpol" -j KUBE-ROUTER-INPUT
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FORWARD -j DOCKER-USER
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-NWPLCY-DEFAULT -m mark --mark 0x10000/0x10000 -j RETURN
-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
-A cali-FORWARD -i cali+ -j cali-tw-cali1234
-A cali-tw-cali1234 -m comment --comment "cali:abc" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
`;

const nat4 = `*nat
:KUBE-KUBELET-CANARY - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-DN-0123456789abcdef01234 - [0:0]
:DOCKER - [0:0]
:KUBE-SVCTEST - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m comment --comment "kubernetes service portals" -j DOCKER
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\" id: \\"1\\"" -m multiport --dports 8080 -j CNI-DN-0123456789abcdef01234
-A CNI-DN-0123456789abcdef01234 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.0.5:80
-A DOCKER -i docker0 -j RETURN
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
`;

const mangle = `*mangle
:KUBE-IPTABLES-HINT - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
`;

const tables = `
table inet cilium {
  chain input {
    type filter hook input priority 10; policy accept;
    tcp dport 9999 drop
  }
}
table ip kube-proxy-extra {
  set a {
    type ipv4_addr
    elements = { 10.0.0.1 }
  }
}
table bridge kube-proxy {
}
`;

/** The rules of IPv4, as restore text. */
export const foreignRules: string = filter4 + nat4 + mangle;

/** Puts it there. `ipset` and `nft` are needed for more than one variant, so what they make is made once. */
export async function addForeign(node: Node, variant: Variant): Promise<void> {
  await node.exec([`iptables-${variant}-restore`, "--noflush"], { input: foreignRules });
  await node.exec([`ip6tables-${variant}-restore`, "--noflush"], { input: mangle });
  await node.exec(["ipset", "-exist", "restore"], { input: sets });
  const { status } = await node.exec(["nft", "list", "table", "inet", "cilium"], { anyStatus: true });
  if (status !== 0) await node.exec(["nft", "-f", "-"], { input: tables });
}

const sets = `create KUBE-MINE hash:ip
add KUBE-MINE 10.0.0.1
create cali40all-hosts-net hash:net
add cali40all-hosts-net 10.0.0.0/8
create KUBE-CLUSTER-IP list:set
create KUBE-SEP-OTHER bitmap:port range 0-10
`;

/** All of it as the programs print it, without counts and times. Empty tables are there or not. */
export async function foreignState(node: Node): Promise<string> {
  const texts: string[] = [];
  for (const program of ["iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"]) {
    const { stdout } = await node.exec([`${program}-save`]);
    const lines = stdout.split("\n").filter((line) => /^([*-]|:.* -)/.test(line));
    texts.push(program, ...lines.filter((line, index) => !isEmptyTable(line, lines[index + 1])));
  }
  texts.push((await node.exec(["ipset", "save"])).stdout);
  for (const name of ["inet cilium", "ip kube-proxy-extra", "bridge kube-proxy"]) {
    texts.push((await node.exec(["nft", "list", "table", ...name.split(" ")])).stdout);
  }
  return texts.join("\n").replace(/ \[\d+:\d+\]/g, "");
}

function isEmptyTable(line: string, next: string | undefined): boolean {
  return line.startsWith("*") && (next === undefined || next.startsWith("*"));
}
