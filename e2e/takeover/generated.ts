/**
 * More Services than were recorded, in the layout of the recordings: objects, and what kube-proxy makes of them.
 *
 * Each is a ClusterIP with one endpoint here and one elsewhere; every twentieth has none. With so many endpoints
 * kube-proxy leaves out the comments of endpoints.
 *
 * @module
 */
import { endpointChainName, servicePortHash } from "../../src/iptables/chain-names.ts";
import type { ApiObject } from "../daemon/objects.ts";
import { golden } from "./testing-golden.ts";

const endpoints = ["10.244.0.10", "10.244.1.11"] as const;
const nodes = ["rig-node", "other-node"] as const;

interface Generated {
  readonly name: string;
  readonly ip: string;
  readonly hasEndpoints: boolean;
}

function services(count: number): readonly Generated[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `s${index}`,
    ip: `10.96.${100 + Math.floor(index / 250)}.${1 + (index % 250)}`,
    hasEndpoints: index % 20 !== 19,
  }));
}

/** Services and EndpointSlices. */
export function generatedObjects(count: number): readonly ApiObject[] {
  return services(count).flatMap(({ name, ip, hasEndpoints }): ApiObject[] => [
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { namespace: "big", name },
      spec: {
        type: "ClusterIP",
        clusterIP: ip,
        ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
      },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { namespace: "big", name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: (hasEndpoints ? endpoints : []).map((address, index) => ({
        addresses: [address],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: nodes[index],
      })),
    },
  ]);
}

/** The recorded rules of IPv4 with those of the Services put in. */
export function withGeneratedRules(recorded: string, count: number): string {
  const all = services(count);
  const parts = all.filter(({ hasEndpoints }) => hasEndpoints).map(natRules);
  const dead = all.filter(({ hasEndpoints }) => !hasEndpoints);
  const lines = {
    "nat chains": parts.flatMap(({ chains }) => chains.map((chain) => `:${chain} - [0:0]`)),
    "nat rules": parts.flatMap(({ rules }) => rules),
    "filter rules": dead.map(
      ({ name, ip }) =>
        `-A KUBE-SERVICES -d ${ip}/32 -p tcp -m comment --comment "big/${name}:http has no endpoints" -m tcp --dport 80 -j REJECT --reject-with icmp-port-unreachable`,
    ),
  };
  let table = "";
  return recorded
    .split("\n")
    .flatMap((line) => {
      table = /^\*(\w+)/.exec(line)?.[1] ?? table;
      if (table === "nat" && line.startsWith(":KUBE-SERVICES ")) return [line, ...lines["nat chains"]];
      if (table === "nat" && line.includes("NOTE: this must be the last")) {
        return [...lines["nat rules"], line];
      }
      return table === "filter" && line === "COMMIT" ? [...lines["filter rules"], line] : [line];
    })
    .join("\n");
}

function natRules({ name, ip }: Generated): { readonly chains: string[]; readonly rules: string[] } {
  const display = `big/${name}:http`;
  const service = `KUBE-SVC-${servicePortHash(display, "TCP")}`;
  const targets = endpoints.map((address) => endpointChainName(display, "TCP", `${address}:8080`));
  const match = `-d ${ip}/32 -p tcp -m comment --comment "${display} cluster IP" -m tcp --dport 80`;
  return {
    chains: [service, ...targets],
    rules: [
      `-A KUBE-SERVICES ${match} -j ${service}`,
      `-A ${service} ! -s 10.128.0.0/9 ${match} -j KUBE-MARK-MASQ`,
      `-A ${service} -m statistic --mode random --probability 0.50000000000 -j ${targets[0]}`,
      `-A ${service} -j ${targets[1]}`,
      ...endpoints.flatMap((address, index) => [
        `-A ${targets[index]} -s ${address}/32 -j KUBE-MARK-MASQ`,
        `-A ${targets[index]} -p tcp -m tcp -j DNAT --to-destination ${address}:8080`,
      ]),
    ],
  };
}

/** Sets, virtual servers and addresses of ipvs mode with those of the Services behind them. */
export function ipvsState(count: number): {
  readonly sets: string;
  readonly servers: string;
  readonly addresses: readonly string[];
} {
  const all = services(count);
  const sets = all.flatMap(({ ip }) => [`add KUBE-CLUSTER-IP ${ip},tcp:80\n`, `add KUBE-IPVS-IPS ${ip}\n`]);
  const servers = all.flatMap(({ ip, hasEndpoints }) => [
    `-A -t ${ip}:80 -s rr\n`,
    ...(hasEndpoints ? endpoints : []).map((address) => `-a -t ${ip}:80 -r ${address}:8080 -m -w 1\n`),
  ]);
  const recorded = [...golden("ipvs/all.ip-addr").matchAll(/^ +inet6? (\S+)/gm)];
  return {
    sets: golden("ipvs/all.ipset-save") + sets.join(""),
    servers: golden("ipvs/all.ipvsadm-save") + servers.join(""),
    addresses: [...recorded.map(([, address = ""]) => address), ...all.map(({ ip }) => `${ip}/32`)],
  };
}
