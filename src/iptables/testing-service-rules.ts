/**
 * A Service with one destination of every kind, and what kube-proxy writes for it, rule by rule. Imported by tests only.
 *
 * Expected lines are spelled as kube-proxy writes them and brought into our form by `canonicalLine()`.
 *
 * @module
 */
import type { Family } from "../proxier/address.ts";
import type { ServiceObject } from "../proxier/objects.ts";
import type { LocalDetector, NodePlan, ServicePlan } from "../proxier/plan.ts";
import type { PlannerSettings } from "../proxier/planner.ts";
import { cidr, endpoint, here, PlannedCluster, port, service, slice, slicePort } from "../proxier/testing.ts";
import { canonicalLine } from "./builder/parse.ts";
import { renderRule } from "./builder/render.ts";
import { serviceRules } from "./service-rules.ts";
import type { Layout } from "./settings.ts";
import { rootChains } from "./static-rules.ts";

/** Where pods are, on the node that the rules are for. */
export const detector: LocalDetector = { kind: "cidr", cidr: cidr("10.0.0.0/8") };

/** The Service's port, and its chains with kube-proxy's hash of it. */
export const name = "ns1/lb:https";
export const svc = "KUBE-SVC-BSZ3UVL56FWREE6W";
export const svl = "KUBE-SVL-BSZ3UVL56FWREE6W";
export const ext = "KUBE-EXT-BSZ3UVL56FWREE6W";
export const fw = "KUBE-FW-BSZ3UVL56FWREE6W";

/** An endpoint, with kube-proxy's name for its chain. */
export interface Pod {
  readonly chain: string;
  readonly ip: string;
  readonly nodeName: string;
}

export const near: Pod = { chain: "KUBE-SEP-XKZFHZ5S3EHBWZ7K", ip: "10.0.1.1", ...here };
export const far: Pod = { chain: "KUBE-SEP-A72UFHH6X3FPLOVD", ip: "10.0.2.1", nodeName: "elsewhere" };
export const both: readonly Pod[] = [near, far];

/** A Service with one destination of every kind. */
export const everywhere: Partial<ServiceObject> = {
  namespace: "ns1",
  name: "lb",
  clusterIP: "172.30.0.50",
  type: "LoadBalancer",
  ports: [port({ name: "https", port: 443, nodePort: 30_443 })],
  externalIPs: ["192.168.99.22"],
  loadBalancerIngress: [{ ip: "1.2.3.4", ipMode: "" }],
};

/** The same with a ClusterIP only. */
export const inside: Partial<ServiceObject> = {
  ...everywhere,
  type: "ClusterIP",
  ports: [port({ name: "https", port: 443 })],
  externalIPs: [],
  loadBalancerIngress: [],
};

/** The plan of a Service, and of the node that it is for. */
export interface Planned {
  readonly plan: ServicePlan;
  readonly node: NodePlan;
}

/** Plans the Service. */
export function planned(
  fields: Partial<ServiceObject>,
  pods: readonly Pod[],
  settings: Partial<PlannerSettings> = {},
): Planned {
  const cluster = new PlannedCluster({ detector, ...settings });
  cluster.put(
    service(fields),
    slice(
      pods.map(({ ip, nodeName }) => endpoint(ip, { nodeName })),
      {
        namespace: "ns1",
        name: "lb-1",
        serviceName: "lb",
        ports: [slicePort({ name: "https", port: 8443 })],
      },
    ),
  );
  const plan = cluster.service("ns1/lb");
  if (plan === undefined) {
    throw new TypeError("Cannot test the rules of a Service that is not planned");
  }
  return { plan, node: cluster.planner.plan.node };
}

/** Lines by what they stand in: `filter KUBE-SERVICES`, or the chain of the Service. */
export type Lines = Readonly<Record<string, readonly string[]>>;

/** What we write for it. */
export function rulesOf({ plan, node }: Planned, layout: Layout): Lines {
  const { chains, entries } = serviceRules(plan, node, { layout, dropInvalid: true }, "recent");
  const lines: Record<string, string[]> = {};
  for (const { dispatch, rule } of entries) {
    const { table, chain } = rootChains[dispatch];
    lines[`${table} ${chain}`] ??= [];
    lines[`${table} ${chain}`]?.push(renderRule(chain, rule));
  }
  for (const { name: chain, rules } of chains) {
    if (lines[chain] !== undefined) {
      throw new TypeError(`Cannot test the rules: chain ${chain} is made twice`);
    }
    lines[chain] = rules.map((rule) => renderRule(chain, rule));
  }
  return lines;
}

/** Expected rules: by chain, what follows `-A CHAIN`. */
export type Wanted = Readonly<Record<string, readonly string[]>>;

/** Expected rules in our form. */
export function canonical(wanted: Wanted, family: Family = "IPv4"): Lines {
  return Object.fromEntries(
    Object.entries(wanted).map(([place, rules]) => [
      place,
      rules.map((rule) => canonicalLine(`-A ${place.replace(/^(nat|filter) /, "")} ${rule}`, family)),
    ]),
  );
}

/** How a packet to an address of the Service is recognised. */
export function arrives(words: string, ip: string): string {
  return `-m comment --comment "${name} ${words}" -m tcp -p tcp -d ${ip} --dport 443`;
}

/** Refusals of packets to the ClusterIP, and of those to everything else. */
export function refused(words: string, target: "DROP" | "REJECT", where: "inside" | "outside"): Wanted {
  const begin = `-m comment --comment "${name} ${words}"`;
  return where === "inside"
    ? { "filter KUBE-SERVICES": [`${begin} -m tcp -p tcp -d 172.30.0.50 --dport 443 -j ${target}`] }
    : {
        "filter KUBE-EXTERNAL-SERVICES": [
          `${begin} -m tcp -p tcp -d 192.168.99.22 --dport 443 -j ${target}`,
          `${begin} -m tcp -p tcp -d 1.2.3.4 --dport 443 -j ${target}`,
          `${begin} -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30443 -j ${target}`,
        ],
      };
}

/** What leads the external destinations to their policy. */
export function external(vipChain: string): Wanted {
  return {
    "nat KUBE-SERVICES": [
      `${arrives("external IP", "192.168.99.22")} -j ${ext}`,
      `${arrives("loadbalancer IP", "1.2.3.4")} -j ${vipChain}`,
    ],
    "nat KUBE-NODEPORTS": [`-m comment --comment ${name} -m tcp -p tcp --dport 30443 -j ${ext}`],
  };
}

/** What leads the ClusterIP to a list, ahead of what else there is. */
export function alsoInternal(list: string, wanted: Wanted = {}): Wanted {
  const shared = "nat KUBE-SERVICES";
  return {
    ...wanted,
    [shared]: [`${arrives("cluster IP", "172.30.0.50")} -j ${list}`, ...(wanted[shared] ?? [])],
  };
}

/** Masquerade of what comes to the ClusterIP from outside of the cluster. */
export const marksForeign: string = `${arrives("cluster IP", "172.30.0.50")} ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ`;

/** The external chain under policy Cluster. */
export const extCluster: Wanted = {
  [ext]: [
    `-m comment --comment "masquerade traffic for ${name} external destinations" -j KUBE-MARK-MASQ`,
    `-j ${svc}`,
  ],
};

/** The external chain under policy Local. */
export function extLocal(hasLocalEndpoints: boolean): Wanted {
  const words = (what: string): string => `-m comment --comment "${what} for ${name} external destinations"`;
  return {
    [ext]: [
      `${words("pod traffic")} -s 10.0.0.0/8 -j ${svc}`,
      `${words("masquerade LOCAL traffic")} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`,
      `${words("route LOCAL traffic")} -m addrtype --src-type LOCAL -j ${svc}`,
      ...(hasLocalEndpoints ? [`-j ${svl}`] : []),
    ],
  };
}

/** A list of endpoints in either layout. */
export function spread(
  layout: Layout,
  list: string,
  pods: readonly Pod[],
  head: readonly string[] = [],
): Wanted {
  const rules = pods.map(({ chain, ip }, index) => {
    const left = pods.length - index;
    const chance = left === 1 ? "" : `-m statistic --mode random --probability ${(1 / left).toFixed(10)} `;
    return layout === "lean" ? `-p tcp ${chance}-j DNAT --to-destination ${ip}:8443` : `${chance}-j ${chain}`;
  });
  return { [list]: [...head, ...rules] };
}

/** The chains of endpoints, which the lean layout does without. */
export function endpointChains(layout: Layout, pods: readonly Pod[]): Wanted {
  return layout === "lean"
    ? {}
    : Object.fromEntries(
        pods.map(({ chain, ip }) => [
          chain,
          [`-s ${ip} -j KUBE-MARK-MASQ`, `-p tcp -j DNAT --to-destination ${ip}:8443`],
        ]),
      );
}
