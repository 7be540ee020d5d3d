/**
 * Whole texts against kube-proxy's, chain by chain, and against a kernel that takes them.
 *
 * What is kube-proxy's is spelled as it spells it. In its layout ours has the same rules in the same chains, but for the
 * comments on the rules of endpoints, which we leave out, and one rule of our own in the filter table's KUBE-NODEPORTS.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { ServiceObject } from "../proxier/objects.ts";
import type { Plan, ServicePlan } from "../proxier/plan.ts";
import {
  address,
  cidr,
  endpoint,
  here,
  PlannedCluster,
  port,
  service,
  slice,
  slicePort,
} from "../proxier/testing.ts";
import { canonicalLine } from "./builder/parse.ts";
import { scanSave } from "./builder/scan.ts";
import { renderPlan } from "./render-plan.ts";
import type { RuleSettings } from "./settings.ts";
import { FakeKernel } from "./testing.ts";
import { everyKindOfRule } from "./testing-cluster.ts";

const plain: RuleSettings = { layout: "endpoint-chains", dropInvalid: true };
const lean: RuleSettings = { layout: "lean", dropInvalid: true };

/** Lines of chains, by table and chain, in canonical form; empty chains included. */
function chainsOf(text: string): Readonly<Record<string, readonly string[]>> {
  const chains: Record<string, string[]> = {};
  let table = "";
  scanSave([text], {
    table: (name) => {
      table = name;
    },
    chain: (name) => {
      chains[`${table} ${name}`] ??= [];
    },
    rule: (name, line) => {
      chains[`${table} ${name}`] = [...(chains[`${table} ${name}`] ?? []), canonicalLine(line, "IPv4")];
    },
  });
  return chains;
}

/** The text as kube-proxy would write it above 1,000 endpoints, where it comments endpoints no more; `-m tcp` as we do. */
function uncommented(text: string): string {
  return text
    .replaceAll(/ -m comment --comment "\S+ -> \S+"/g, "")
    .replaceAll(/^(-A KUBE-SEP-\S+) -m comment --comment \S+/gm, "$1")
    .replaceAll(" -m tcp -p tcp -j DNAT", " -p tcp -j DNAT");
}

const invalidReplies =
  '-A KUBE-NODEPORTS -s 10.0.0.0/8 -m comment --comment "kubernetes invalid replies of pods" -m conntrack --ctstate INVALID -j DROP';

/** What kube-proxy writes without any Service. */
const withoutServices = `
*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x00004000/0x00004000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A KUBE-POSTROUTING -m mark ! --mark 0x00004000/0x00004000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x00004000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
`;

/** What it adds for a load balancer with policy Local, source ranges, an endpoint here and one elsewhere. */
const loadBalancer = `
*filter
-A KUBE-PROXY-FIREWALL -m comment --comment "ns1/lb:https traffic not accepted by KUBE-FW-BSZ3UVL56FWREE6W" -m tcp -p tcp -d 1.2.3.4 --dport 443 -j DROP
-A KUBE-NODEPORTS -m comment --comment "ns1/lb:https health check node port" -m tcp -p tcp --dport 32000 -j ACCEPT
COMMIT
*nat
:KUBE-EXT-BSZ3UVL56FWREE6W - [0:0]
:KUBE-FW-BSZ3UVL56FWREE6W - [0:0]
:KUBE-SVC-BSZ3UVL56FWREE6W - [0:0]
:KUBE-SVL-BSZ3UVL56FWREE6W - [0:0]
:KUBE-SEP-XKZFHZ5S3EHBWZ7K - [0:0]
:KUBE-SEP-A72UFHH6X3FPLOVD - [0:0]
-A KUBE-SERVICES -m comment --comment "ns1/lb:https cluster IP" -m tcp -p tcp -d 172.30.0.50 --dport 443 -j KUBE-SVC-BSZ3UVL56FWREE6W
-A KUBE-SERVICES -m comment --comment "ns1/lb:https external IP" -m tcp -p tcp -d 192.168.99.22 --dport 443 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-SERVICES -m comment --comment "ns1/lb:https loadbalancer IP" -m tcp -p tcp -d 1.2.3.4 --dport 443 -j KUBE-FW-BSZ3UVL56FWREE6W
-A KUBE-NODEPORTS -m comment --comment ns1/lb:https -m tcp -p tcp --dport 30443 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-SVC-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https cluster IP" -m tcp -p tcp -d 172.30.0.50 --dport 443 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ
-A KUBE-EXT-BSZ3UVL56FWREE6W -m comment --comment "pod traffic for ns1/lb:https external destinations" -s 10.0.0.0/8 -j KUBE-SVC-BSZ3UVL56FWREE6W
-A KUBE-EXT-BSZ3UVL56FWREE6W -m comment --comment "masquerade LOCAL traffic for ns1/lb:https external destinations" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
-A KUBE-EXT-BSZ3UVL56FWREE6W -m comment --comment "route LOCAL traffic for ns1/lb:https external destinations" -m addrtype --src-type LOCAL -j KUBE-SVC-BSZ3UVL56FWREE6W
-A KUBE-EXT-BSZ3UVL56FWREE6W -j KUBE-SVL-BSZ3UVL56FWREE6W
-A KUBE-FW-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https loadbalancer IP" -s 203.0.113.0/25 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-FW-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https loadbalancer IP" -s 192.168.0.0/24 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-FW-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https loadbalancer IP" -s 1.2.3.4 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-FW-BSZ3UVL56FWREE6W -m comment --comment "other traffic to ns1/lb:https will be dropped by KUBE-PROXY-FIREWALL"
-A KUBE-SVC-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https -> 10.0.1.1:8443" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-XKZFHZ5S3EHBWZ7K
-A KUBE-SVC-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https -> 10.0.2.1:8443" -j KUBE-SEP-A72UFHH6X3FPLOVD
-A KUBE-SVL-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https -> 10.0.1.1:8443" -j KUBE-SEP-XKZFHZ5S3EHBWZ7K
-A KUBE-SEP-XKZFHZ5S3EHBWZ7K -m comment --comment ns1/lb:https -s 10.0.1.1 -j KUBE-MARK-MASQ
-A KUBE-SEP-XKZFHZ5S3EHBWZ7K -m comment --comment ns1/lb:https -m tcp -p tcp -j DNAT --to-destination 10.0.1.1:8443
-A KUBE-SEP-A72UFHH6X3FPLOVD -m comment --comment ns1/lb:https -s 10.0.2.1 -j KUBE-MARK-MASQ
-A KUBE-SEP-A72UFHH6X3FPLOVD -m comment --comment ns1/lb:https -m tcp -p tcp -j DNAT --to-destination 10.0.2.1:8443
COMMIT
`;

/** And with both policies Local, no ranges, and only the endpoint elsewhere. */
const nothingLocal = `
*filter
-A KUBE-SERVICES -m comment --comment "ns1/lb:https has no local endpoints" -m tcp -p tcp -d 172.30.0.50 --dport 443 -j DROP
-A KUBE-EXTERNAL-SERVICES -m comment --comment "ns1/lb:https has no local endpoints" -m tcp -p tcp -d 192.168.99.22 --dport 443 -j DROP
-A KUBE-EXTERNAL-SERVICES -m comment --comment "ns1/lb:https has no local endpoints" -m tcp -p tcp -d 1.2.3.4 --dport 443 -j DROP
-A KUBE-EXTERNAL-SERVICES -m comment --comment "ns1/lb:https has no local endpoints" -m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30443 -j DROP
-A KUBE-NODEPORTS -m comment --comment "ns1/lb:https health check node port" -m tcp -p tcp --dport 32000 -j ACCEPT
COMMIT
*nat
-A KUBE-SERVICES -m comment --comment "ns1/lb:https external IP" -m tcp -p tcp -d 192.168.99.22 --dport 443 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-SERVICES -m comment --comment "ns1/lb:https loadbalancer IP" -m tcp -p tcp -d 1.2.3.4 --dport 443 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-NODEPORTS -m comment --comment ns1/lb:https -m tcp -p tcp --dport 30443 -j KUBE-EXT-BSZ3UVL56FWREE6W
-A KUBE-EXT-BSZ3UVL56FWREE6W -m comment --comment "pod traffic for ns1/lb:https external destinations" -s 10.0.0.0/8 -j KUBE-SVC-BSZ3UVL56FWREE6W
-A KUBE-EXT-BSZ3UVL56FWREE6W -m comment --comment "masquerade LOCAL traffic for ns1/lb:https external destinations" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ
-A KUBE-EXT-BSZ3UVL56FWREE6W -m comment --comment "route LOCAL traffic for ns1/lb:https external destinations" -m addrtype --src-type LOCAL -j KUBE-SVC-BSZ3UVL56FWREE6W
-A KUBE-SVC-BSZ3UVL56FWREE6W -m comment --comment "ns1/lb:https -> 10.0.2.1:8443" -j KUBE-SEP-A72UFHH6X3FPLOVD
-A KUBE-SEP-A72UFHH6X3FPLOVD -m comment --comment ns1/lb:https -s 10.0.2.1 -j KUBE-MARK-MASQ
-A KUBE-SEP-A72UFHH6X3FPLOVD -m comment --comment ns1/lb:https -m tcp -p tcp -j DNAT --to-destination 10.0.2.1:8443
COMMIT
`;

/** Affinity to three endpoints for three hours. */
const affinity = `
*nat
-A KUBE-SERVICES -m comment --comment "ns1/web:http cluster IP" -m tcp -p tcp -d 10.96.0.10 --dport 80 -j KUBE-SVC-4LVCYZMTA5CQO6SX
-A KUBE-SVC-4LVCYZMTA5CQO6SX -m comment --comment "ns1/web:http cluster IP" -m tcp -p tcp -d 10.96.0.10 --dport 80 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ
-A KUBE-SVC-4LVCYZMTA5CQO6SX -m comment --comment "ns1/web:http -> 10.0.1.1:8080" -m recent --name KUBE-SEP-SDBMRRHQ72W3Q2SC --rcheck --seconds 10800 --reap -j KUBE-SEP-SDBMRRHQ72W3Q2SC
-A KUBE-SVC-4LVCYZMTA5CQO6SX -m comment --comment "ns1/web:http -> 10.0.1.2:8080" -m recent --name KUBE-SEP-TJY4RIB7FEXCJCPN --rcheck --seconds 10800 --reap -j KUBE-SEP-TJY4RIB7FEXCJCPN
-A KUBE-SVC-4LVCYZMTA5CQO6SX -m comment --comment "ns1/web:http -> 10.0.1.3:8080" -m recent --name KUBE-SEP-IAELY7DWM2VILWJO --rcheck --seconds 10800 --reap -j KUBE-SEP-IAELY7DWM2VILWJO
-A KUBE-SVC-4LVCYZMTA5CQO6SX -m comment --comment "ns1/web:http -> 10.0.1.1:8080" -m statistic --mode random --probability 0.3333333333 -j KUBE-SEP-SDBMRRHQ72W3Q2SC
-A KUBE-SVC-4LVCYZMTA5CQO6SX -m comment --comment "ns1/web:http -> 10.0.1.2:8080" -m statistic --mode random --probability 0.5000000000 -j KUBE-SEP-TJY4RIB7FEXCJCPN
-A KUBE-SVC-4LVCYZMTA5CQO6SX -m comment --comment "ns1/web:http -> 10.0.1.3:8080" -j KUBE-SEP-IAELY7DWM2VILWJO
-A KUBE-SEP-SDBMRRHQ72W3Q2SC -s 10.0.1.1 -j KUBE-MARK-MASQ
-A KUBE-SEP-SDBMRRHQ72W3Q2SC -p tcp -m recent --name KUBE-SEP-SDBMRRHQ72W3Q2SC --set -j DNAT --to-destination 10.0.1.1:8080
-A KUBE-SEP-TJY4RIB7FEXCJCPN -s 10.0.1.2 -j KUBE-MARK-MASQ
-A KUBE-SEP-TJY4RIB7FEXCJCPN -p tcp -m recent --name KUBE-SEP-TJY4RIB7FEXCJCPN --set -j DNAT --to-destination 10.0.1.2:8080
-A KUBE-SEP-IAELY7DWM2VILWJO -s 10.0.1.3 -j KUBE-MARK-MASQ
-A KUBE-SEP-IAELY7DWM2VILWJO -p tcp -m recent --name KUBE-SEP-IAELY7DWM2VILWJO --set -j DNAT --to-destination 10.0.1.3:8080
COMMIT
`;

/** Where a rule of a shared chain stands in ours: by address, and behind all addresses without one. */
function place(line: string): number {
  return Number(/ -d (\d+)\./.exec(line)?.[1] ?? "256");
}

/** What kube-proxy writes with and without the Service, shared chains in our order, with their last rules last. */
function kubeProxy(added: string): Readonly<Record<string, readonly string[]>> {
  const chains: Record<string, readonly string[]> = { ...chainsOf(withoutServices) };
  for (const [chain, lines] of Object.entries(chainsOf(uncommented(added)))) {
    const known = chains[chain];
    chains[chain] =
      known === undefined ? lines : [...lines.toSorted((a, b) => place(a) - place(b)), ...known];
  }
  chains["filter KUBE-NODEPORTS"] = [...(chains["filter KUBE-NODEPORTS"] ?? []), invalidReplies];
  return {
    ...chains,
    "filter KUBE-PROXY-CANARY": [],
    "nat KUBE-PROXY-CANARY": [],
    "mangle KUBE-PROXY-CANARY": [],
  };
}

function cluster(): PlannedCluster {
  return new PlannedCluster({
    detector: { kind: "cidr", cidr: cidr("10.0.0.0/8") },
    nodeAddress: address("192.168.0.2"),
  });
}

const balanced: Partial<ServiceObject> = {
  namespace: "ns1",
  name: "lb",
  clusterIP: "172.30.0.50",
  type: "LoadBalancer",
  externalTrafficPolicy: "Local",
  ports: [port({ name: "https", port: 443, nodePort: 30_443 })],
  externalIPs: ["192.168.99.22"],
  loadBalancerIngress: [{ ip: "1.2.3.4", ipMode: "" }],
  healthCheckNodePort: 32_000,
};

function endpoints(...pods: readonly ReturnType<typeof endpoint>[]): ReturnType<typeof slice> {
  const ports = [slicePort({ name: "https", port: 8443 })];
  return slice(pods, { namespace: "ns1", name: "lb-1", serviceName: "lb", ports });
}

function planOf(one: PlannedCluster): Plan {
  one.planner.take();
  return one.planner.plan;
}

describe("renderPlan() in kube-proxy's layout", () => {
  test.each([
    ["no Service", [], ""],
    [
      "a load balancer with policy Local, source ranges, and an endpoint here and one elsewhere",
      [
        service({ ...balanced, loadBalancerSourceRanges: ["203.0.113.0/25", "192.168.0.0/24"] }),
        endpoints(endpoint("10.0.1.1", here), endpoint("10.0.2.1")),
      ],
      loadBalancer,
    ],
    [
      "a load balancer with both policies Local and one endpoint elsewhere",
      [service({ ...balanced, internalTrafficPolicy: "Local" }), endpoints(endpoint("10.0.2.1"))],
      nothingLocal,
    ],
    [
      "affinity",
      [
        service({ namespace: "ns1", sessionAffinity: "ClientIP" }),
        slice(["10.0.1.1", "10.0.1.2", "10.0.1.3"], { namespace: "ns1" }),
      ],
      affinity,
    ],
  ])("is what kube-proxy writes for %s", (_, objects, added) => {
    const { text, rejected } = renderPlan(planOf(cluster().put(...objects)), plain);
    expect(rejected).toEqual([]);
    expect(chainsOf(text.replaceAll(/^-I .*\n/gm, ""))).toEqual(kubeProxy(added));
  });
});

describe("renderPlan()", () => {
  const services = [
    service({ ...balanced, loadBalancerSourceRanges: ["203.0.113.0/25"] }),
    endpoints(endpoint("10.0.1.1", here), endpoint("10.0.2.1")),
    service(),
    slice(["10.244.1.1"]),
  ];

  test("is a text that an empty kernel takes, and that leads to the chains from the built-in ones", async () => {
    for (const settings of [plain, lean]) {
      const kernel = new FakeKernel();
      await kernel.write([renderPlan(planOf(cluster().put(...services)), settings).text]);
      const jumps = (table: string, chain: string): readonly string[] =>
        (chainsOf(kernel.save())[`${table} ${chain}`] ?? []).map((line) => line.replace(/^.* -j /, ""));
      expect(jumps("filter", "INPUT")).toEqual([
        "KUBE-FIREWALL",
        "KUBE-PROXY-FIREWALL",
        "KUBE-NODEPORTS",
        "KUBE-EXTERNAL-SERVICES",
      ]);
      expect(jumps("filter", "FORWARD")).toEqual([
        "KUBE-PROXY-FIREWALL",
        "KUBE-FORWARD",
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
      ]);
      expect(jumps("filter", "OUTPUT")).toEqual(["KUBE-FIREWALL", "KUBE-PROXY-FIREWALL", "KUBE-SERVICES"]);
      expect(jumps("nat", "PREROUTING")).toEqual(["KUBE-SERVICES"]);
      expect(jumps("nat", "OUTPUT")).toEqual(["KUBE-SERVICES"]);
      expect(jumps("nat", "POSTROUTING")).toEqual(["KUBE-POSTROUTING"]);
    }
  });

  test("is the same for equal Plans, in whatever order they came about", () => {
    const one = renderPlan(planOf(cluster().put(...services)), lean);
    const other = renderPlan(planOf(cluster().put(...services.toReversed())), lean);
    expect(other).toEqual(one);
  });

  test.each(["IPv4", "IPv6"] as const)(
    "gives every kind of rule of %s to a kernel in one go",
    async (family) => {
      const every = new PlannedCluster({
        family,
        detector: { kind: "bridge", name: "cni0" },
        localhostNodePorts: false,
      }).put(...everyKindOfRule(family));
      const { text, rejected } = renderPlan(planOf(every), lean);
      expect(rejected).toEqual([]);
      expect(text.split("\n").filter((line) => line === "COMMIT")).toHaveLength(3);
      await expect(new FakeKernel().write([text])).resolves.toBeUndefined();
    },
  );

  test("names the Services that cannot be written, and has the others", () => {
    const plan = planOf(cluster().put(...services));
    const web = plan.services.get("ns/web") as ServicePlan;
    const [only] = web.ports;
    const bad = { ...web, ports: only === undefined ? [] : [{ ...only, displayName: "ns/web\nCOMMIT" }] };
    const { text, rejected } = renderPlan(
      { ...plan, services: new Map([...plan.services, ["ns/web", bad]]) },
      lean,
    );
    expect(rejected.map((one) => one.service)).toEqual(["ns/web"]);
    expect(text).toContain("ns1/lb:https");
    expect(text).not.toContain("ns/web");
  });
});
