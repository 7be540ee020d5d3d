/**
 * A cluster's DNS: the names that Kubernetes gives Services and pods, served by dnsmasq in pods.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDnsmasq } from "../daemon/dns-programs.ts";
import { eventually } from "../daemon/eventually.ts";
import type { Pod } from "../harness/cluster.ts";
import { placeOf } from "./services.ts";

/** The cluster's DNS Service. */
export const dnsAddress = "10.96.0.10";

const services = "default.svc.cluster.local";

/** A question as a program in a pod asks it, with what it must learn. */
export interface Question {
  readonly name: string;
  /** Addresses in any order; for `SRV`, `target:port`. */
  readonly answers: readonly string[];
  readonly kind: "address" | "SRV";
}

/** Names of a cluster, and the addresses that stand behind them. */
export interface Zone {
  /** Lines as of /etc/hosts. */
  readonly hosts: string;
  /** Options of dnsmasq for what is no address. */
  readonly options: readonly string[];
  readonly questions: readonly Question[];
}

/** The zone of the matrix's Services, and of a headless one whose addresses are the pods'. */
export function zoneOf(pods: readonly Pod[]): Zone {
  const web = placeOf("cluster", 0, false).clusterIP;
  const addresses = pods.map(({ ip }) => ip);
  const podNames = pods.map(({ ip }) => `${ip.replaceAll(".", "-")}.default.pod.cluster.local`);
  const hosts = [
    `${web} web.${services}`,
    ...addresses.map((ip) => `${ip} headless.${services}`),
    ...pods.map(({ ip }, index) => `${ip} ${podNames[index]}`),
  ];
  return {
    hosts: `${hosts.join("\n")}\n`,
    options: [`--srv-host=_http._tcp.web.${services},web.${services},80`],
    questions: [
      { kind: "address", name: "web", answers: [web] },
      { kind: "address", name: "web.default", answers: [web] },
      { kind: "address", name: `web.${services}.`, answers: [web] },
      { kind: "address", name: "headless", answers: addresses },
      { kind: "address", name: podNames[0] ?? "", answers: addresses.slice(0, 1) },
      { kind: "SRV", name: `_http._tcp.web.${services}`, answers: [`web.${services}:80`] },
    ],
  };
}

/** What kubelet writes into a pod's resolv.conf. */
export const resolvConf: string = [
  `nameserver ${dnsAddress}`,
  `search ${services} svc.cluster.local cluster.local`,
  "options ndots:5",
  "",
].join("\n");

/** dnsmasq in a pod, by UDP and TCP, for `cluster.local` and nothing else. It ends with the pod. */
export async function serveZone(pod: Pod, zone: Zone): Promise<ChildProcess> {
  const file = join(pod.node.directory, `hosts-${pod.namespace.name}`);
  writeFileSync(file, zone.hosts);
  const child = startDnsmasq(pod, [
    "--local=/cluster.local/",
    "--local-ttl=0",
    `--addn-hosts=${file}`,
    ...zone.options,
  ]);
  await eventually(`DNS in ${pod.name}`, async () => {
    const { stdout } = await pod.exec(["ss", "-Hlnt", `src ${pod.ip}:53`]);
    return stdout !== "";
  });
  return child;
}
