/**
 * Checks that need the node: whether what is configured fits its IP families.
 *
 * They run once the node's addresses are known. Most findings are only worth a log line, because a wrong family often
 * has no effect; some mean that the program could not do its work and end the start.
 *
 * Pure.
 *
 * @module
 */
import { type Cidr, type Family, families, familyOf, parseAddress } from "../proxier/address.ts";
import { parseCidrs, serverAddress } from "./effective-settings.ts";
import type { ProxyConfig } from "./proxy-config.ts";

const unspecifiedV4 = parseAddress("0.0.0.0");
const unspecifiedV6 = parseAddress("::");

/** What is known about the node. */
export interface NodeFacts {
  readonly primary: Family;
  /** Families that the kernel and the tools support. */
  readonly supported: ReadonlySet<Family>;
  /** `spec.podCIDRs` of the Node object; empty when unknown. */
  readonly podCIDRs: readonly string[];
}

/** One finding. */
export interface NodeFinding {
  /** Fatal ones end the start; the message then goes behind `kube-proxy configuration is incorrect: `. */
  readonly fatal: boolean;
  readonly message: string;
}

/** Everything that does not fit. */
export function checkNodeSettings(config: ProxyConfig, node: NodeFacts): readonly NodeFinding[] {
  if (!node.supported.has(node.primary)) {
    return [{ fatal: true, message: `no support for primary IP family "${node.primary}"` }];
  }
  return [
    ...nodePortFindings(config, node),
    ...podAddressFindings(config, node),
    ...singleStackFindings(config, node),
  ];
}

function nodePortFindings(config: ProxyConfig, node: NodeFacts): readonly NodeFinding[] {
  const { nodePortAddresses } = config;
  if (nodePortAddresses.length === 0) {
    return [
      warning(
        "nodePortAddresses is unset; NodePort connections will be accepted on all local IPs. " +
          "Consider using `--nodeport-addresses primary`",
      ),
    ];
  }
  const cidrs = parseCidrs(nodePortAddresses);
  const missing = families.find((family) => !hasFamily(cidrs, family));
  if (cidrs.length === 0 || missing === undefined) {
    return []; // the word primary, which covers the families that the node has, or both families
  }
  const lists = [config.clusterCIDR, config.ipvs.excludeCIDRs, node.podCIDRs].map(parseCidrs);
  const dualStack = lists.some((list) => families.every((family) => hasFamily(list, family)));
  if (missing !== node.primary && !dualStack) {
    return [];
  }
  const cluster = missing === node.primary ? `${missing}-primary` : "dual-stack";
  return [
    warning(
      `cluster appears to be ${cluster} but nodePortAddresses contains only ${otherFamily(missing)} addresses; ` +
        `NodePort connections will be accepted on all local ${missing} IPs`,
    ),
  ];
}

function hasFamily(cidrs: readonly Cidr[], family: Family): boolean {
  return cidrs.some((cidr) => cidr.family === family);
}

function podAddressFindings(config: ProxyConfig, node: NodeFacts): readonly NodeFinding[] {
  const { detectLocalMode, clusterCIDR } = config;
  const findings: NodeFinding[] = [];
  if (onlyOther(clusterCIDR, node)) {
    findings.push({
      fatal: detectLocalMode === "ClusterCIDR" && !isDualStack(node),
      message: wrongFamily(node, "clusterCIDR"),
    });
  }
  if (onlyOther(node.podCIDRs, node)) {
    findings.push({
      fatal: detectLocalMode === "NodeCIDR",
      message: wrongFamily(node, "node.spec.podCIDRs"),
    });
  }
  return findings;
}

/** Settings that matter only while the other family does not exist at all. */
function singleStackFindings(config: ProxyConfig, node: NodeFacts): readonly NodeFinding[] {
  if (isDualStack(node)) {
    return [];
  }
  const wrong = [
    ...(onlyOther(config.ipvs.excludeCIDRs, node) ? ["ipvs.excludeCIDRs"] : []),
    ...(listensOnOther(config.healthzBindAddress, node) ? ["healthzBindAddress"] : []),
    ...(listensOnOther(config.metricsBindAddress, node) ? ["metricsBindAddress"] : []),
  ];
  return wrong.map((field) => warning(wrongFamily(node, field)));
}

function listensOnOther(text: string, node: NodeFacts): boolean {
  const server = serverAddress(text);
  if (server === undefined || server.address === unspecifiedV4 || server.address === unspecifiedV6) {
    return false;
  }
  return familyOf(server.address) !== node.primary;
}

function onlyOther(texts: readonly string[], node: NodeFacts): boolean {
  const cidrs = parseCidrs(texts);
  return cidrs.length > 0 && cidrs.every((cidr) => cidr.family !== node.primary);
}

function isDualStack(node: NodeFacts): boolean {
  return node.supported.size === 2;
}

function otherFamily(family: Family): Family {
  return family === "IPv4" ? "IPv6" : "IPv4";
}

function wrongFamily(node: NodeFacts, field: string): string {
  const cluster = isDualStack(node) ? `${node.primary}-primary` : `${node.primary}-only`;
  return `cluster is ${cluster} but ${field} contains only ${otherFamily(node.primary)} addresses`;
}

function warning(message: string): NodeFinding {
  return { fatal: false, message };
}
