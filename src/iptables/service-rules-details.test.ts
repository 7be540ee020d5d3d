/**
 * The rules of one Service, by what the node is like, and what does not depend on policies.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { ServicePlan } from "../proxier/plan.ts";
import type { PlannerSettings } from "../proxier/planner.ts";
import {
  address,
  cidr,
  endpoint,
  PlannedCluster,
  port,
  service,
  slice,
  slicePort,
} from "../proxier/testing.ts";
import { addressKey, portKey } from "./service-rules.ts";
import {
  arrives,
  both,
  canonical,
  detector,
  everywhere,
  ext,
  extCluster,
  external,
  extLocal,
  fw,
  name,
  planned,
  rulesOf,
  spread,
  svc,
} from "./testing-service-rules.ts";

const externalLocal = { externalTrafficPolicy: "Local" } as const;

describe("serviceRules()", () => {
  const detectors = [
    ["a network", { detector }, "! -s 10.0.0.0/8 ", "-s 10.0.0.0/8 "],
    ["a bridge", { detector: { kind: "bridge", name: "cbr0" } }, "! -i cbr0 ", "-i cbr0 "],
    ["a prefix", { detector: { kind: "prefix", prefix: "veth" } }, "! -i veth+ ", "-i veth+ "],
  ] as const satisfies readonly (readonly [string, Partial<PlannerSettings>, string, string])[];

  const fields = { ...everywhere, ...externalLocal };

  test.each(detectors)("tells pods by %s", (_, settings, others, pods) => {
    const rules = rulesOf(planned(fields, both, settings), "lean");
    const wanted = canonical({
      [svc]: [`${arrives("cluster IP", "172.30.0.50")} ${others}-j KUBE-MARK-MASQ`],
      [ext]: [`-m comment --comment "pod traffic for ${name} external destinations" ${pods}-j ${svc}`],
    });
    expect(rules[svc]?.[0]).toBe(wanted[svc]?.[0]);
    expect(rules[ext]?.[0]).toBe(wanted[ext]?.[0]);
    expect(rules[ext]).toHaveLength(4);
  });

  test("refuses no packets to loopback node ports where a forwarder serves these", () => {
    const refusals = (settings: Partial<PlannerSettings>): readonly string[] =>
      (rulesOf(planned(fields, [], settings), "lean")["filter KUBE-EXTERNAL-SERVICES"] ?? []).filter((rule) =>
        rule.includes("LOCAL"),
      );
    expect(refusals({})).toEqual([expect.not.stringContaining("127.0.0.0/8")]);
    expect(refusals({ localhostForwarder: true })).toEqual([expect.stringMatching(/ ! -d 127\.0\.0\.0\/8 /)]);
  });

  test("has no rules for pods where nothing tells them", () => {
    const rules = rulesOf(planned(fields, both, { detector: undefined }), "lean");
    expect(rules[svc]).toHaveLength(2);
    expect(rules[ext]).toEqual(canonical({ [ext]: extLocal(true)[ext]?.slice(1) ?? [] })[ext]);
  });

  test("takes everybody for a pod where the network holds all addresses", () => {
    const all = { kind: "cidr", cidr: cidr("0.0.0.0/0") } as const;
    const rules = rulesOf(planned(fields, both, { detector: all }), "lean");
    expect(rules[svc]).toHaveLength(2);
    expect(rules[ext]?.[0]).toBe(
      `-A ${ext} -m comment --comment "pod traffic for ${name} external destinations" -j ${svc}`,
    );
  });

  test.each([detector, undefined])(
    "masquerades everything to the ClusterIP when told to (detector %o)",
    (one) => {
      const rules = rulesOf(planned(everywhere, both, { detector: one, masqueradeAll: true }), "lean");
      const wanted = canonical({ [svc]: [`${arrives("cluster IP", "172.30.0.50")} -j KUBE-MARK-MASQ`] });
      expect(rules[svc]?.[0]).toBe(wanted[svc]?.[0]);
      expect(rules[ext]).toEqual(canonical(extCluster)[ext]);
    },
  );

  test("accepts the port of health checks, also without endpoints, as kube-proxy calls it", () => {
    const healthy = { ...everywhere, ...externalLocal, healthCheckNodePort: 32_000 };
    const accepted = canonical({
      "filter KUBE-NODEPORTS": [
        `-m comment --comment "${name} health check node port" -m tcp -p tcp --dport 32000 -j ACCEPT`,
      ],
    });
    for (const pods of [both, []]) {
      expect(rulesOf(planned(healthy, pods), "lean")["filter KUBE-NODEPORTS"]).toEqual(
        accepted["filter KUBE-NODEPORTS"],
      );
    }
  });

  test("opens the port of health checks once for a Service with several ports", () => {
    const ports = ["https", "dns"].map((one, index) =>
      port({ name: one, port: 443 + index, nodePort: 30_443 + index }),
    );
    const healthy = { ...everywhere, ...externalLocal, healthCheckNodePort: 32_000, ports };
    expect(rulesOf(planned(healthy, both), "lean")["filter KUBE-NODEPORTS"]).toHaveLength(1);
  });

  test("has no rules for what another Service owns", () => {
    const { plan, node } = planned(everywhere, both);
    const [only] = plan.ports;
    const robbed = (kept: (kind: string) => boolean): ServicePlan => ({
      ...plan,
      ports:
        only === undefined ? [] : [{ ...only, frontends: only.frontends.filter(({ kind }) => kept(kind)) }],
    });
    expect(rulesOf({ plan: robbed(() => false), node }, "endpoint-chains")).toEqual({});
    expect(rulesOf({ plan: robbed((kind) => kind === "NodePort"), node }, "lean")).toEqual(
      canonical({
        "nat KUBE-NODEPORTS": external(ext)["nat KUBE-NODEPORTS"] ?? [],
        ...extCluster,
        ...spread("lean", svc, both),
      }),
    );
  });

  test("spells IPv6", () => {
    const cluster = new PlannedCluster({
      family: "IPv6",
      detector: { kind: "cidr", cidr: cidr("fd00:10::/32") },
      nodeAddress: address("fd00::2"),
      localhostNodePorts: false,
    });
    const six = service({
      ...everywhere,
      clusterIP: "fd00:20::a",
      clusterIPs: ["fd00:20::a"],
      ipFamilies: ["IPv6"],
      externalIPs: ["2001:db8::1"],
      loadBalancerIngress: [{ ip: "2001:db8::2", ipMode: "" }],
      loadBalancerSourceRanges: ["2001:db8:1::/48"],
    });
    const slices = slice([endpoint("fd00:10::1")], {
      namespace: "ns1",
      name: "lb-1",
      serviceName: "lb",
      addressType: "IPv6",
      ports: [slicePort({ name: "https", port: 8443 })],
    });
    cluster.put(six, slices);
    const plan = cluster.service("ns1/lb") as ServicePlan;
    const { node } = cluster.planner.plan;
    const rules = rulesOf({ plan, node }, "lean");
    expect(rules).toEqual(
      canonical(
        {
          "nat KUBE-SERVICES": [
            `${arrives("cluster IP", "fd00:20::a")} -j ${svc}`,
            `${arrives("external IP", "2001:db8::1")} -j ${ext}`,
            `${arrives("loadbalancer IP", "2001:db8::2")} -j ${fw}`,
          ],
          "nat KUBE-NODEPORTS": [`-m comment --comment ${name} -m tcp -p tcp --dport 30443 -j ${ext}`],
          "filter KUBE-PROXY-FIREWALL": [
            `${arrives(`traffic not accepted by ${fw}`, "2001:db8::2")} -j DROP`,
          ],
          ...extCluster,
          [fw]: [
            `-m comment --comment "${name} loadbalancer IP" -s 2001:db8:1::/48 -j ${ext}`,
            `-m comment --comment "other traffic to ${name} will be dropped by KUBE-PROXY-FIREWALL"`,
          ],
          [svc]: [
            `${arrives("cluster IP", "fd00:20::a")} ! -s fd00:10::/32 -j KUBE-MARK-MASQ`,
            "-p tcp -j DNAT --to-destination [fd00:10::1]:8443",
          ],
        },
        "IPv6",
      ),
    );
    cluster.drop(slices);
    const rejected = rulesOf({ plan: cluster.service("ns1/lb") as ServicePlan, node }, "lean");
    expect(rejected["filter KUBE-SERVICES"]).toEqual([
      `-A KUBE-SERVICES -d fd00:20::a/128 -p tcp -m comment --comment "${name} has no endpoints" -m tcp --dport 443 -j REJECT --reject-with icmp6-port-unreachable`,
    ]);
  });
});

test.each([
  ["10.96.0.10", "a0a60000a"],
  ["255.255.255.255", "affffffff"],
  ["fd00::1", "afd000000000000000000000000000001"],
])("addressKey() of %s is %s", (text, key) => {
  expect(addressKey(address(text))).toBe(key);
});

test.each([
  ["TCP", 30_000, "pt7530"],
  ["UDP", 53, "pu0035"],
  ["SCTP", 65_535, "psffff"],
] as const)("portKey() of %s %i is %s", (protocol, number, key) => {
  expect(portKey(protocol, number)).toBe(key);
});
