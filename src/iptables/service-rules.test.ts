/**
 * The rules of one Service, by traffic policies and by where its endpoints are.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { ServiceObject } from "../proxier/objects.ts";
import { serviceRules } from "./service-rules.ts";
import type { Layout } from "./settings.ts";
import {
  alsoInternal,
  arrives,
  both,
  canonical,
  endpointChains,
  everywhere,
  ext,
  extCluster,
  external,
  extLocal,
  far,
  fw,
  inside,
  marksForeign,
  name,
  near,
  type Pod,
  planned,
  refused,
  rulesOf,
  spread,
  svc,
  svl,
  type Wanted,
} from "./testing-service-rules.ts";

interface Situation {
  readonly name: string;
  readonly fields: Partial<ServiceObject>;
  readonly pods: readonly Pod[];
  readonly wanted: (layout: Layout) => Wanted;
}

const internalLocal = { internalTrafficPolicy: "Local" } as const;
const externalLocal = { externalTrafficPolicy: "Local" } as const;
const ranges = ["203.0.113.0/25", "192.168.0.0/24"];

const refusedInside = refused("has no local endpoints", "DROP", "inside");
const refusedOutside = refused("has no local endpoints", "DROP", "outside");

const situations: readonly Situation[] = [
  {
    name: "every kind of destination without endpoints",
    fields: everywhere,
    pods: [],
    wanted: () => ({
      ...refused("has no endpoints", "REJECT", "inside"),
      ...refused("has no endpoints", "REJECT", "outside"),
    }),
  },
  {
    name: "ClusterIP only",
    fields: inside,
    pods: both,
    wanted: (layout) => ({
      ...alsoInternal(svc),
      ...spread(layout, svc, both, [marksForeign]),
      ...endpointChains(layout, both),
    }),
  },
  {
    name: "ClusterIP only, internal policy Local, endpoints here",
    fields: { ...inside, ...internalLocal },
    pods: both,
    wanted: (layout) => ({
      ...alsoInternal(svl),
      ...spread(layout, svl, [near], [marksForeign]),
      ...endpointChains(layout, [near]),
    }),
  },
  {
    name: "ClusterIP only, internal policy Local, no endpoints here",
    fields: { ...inside, ...internalLocal },
    pods: [far],
    wanted: () => refusedInside,
  },
  {
    name: "external policy Cluster, internal Cluster",
    fields: everywhere,
    pods: both,
    wanted: (layout) => ({
      ...alsoInternal(svc, external(ext)),
      ...extCluster,
      ...spread(layout, svc, both, [marksForeign]),
      ...endpointChains(layout, both),
    }),
  },
  {
    name: "external policy Cluster, internal Local, endpoints here",
    fields: { ...everywhere, ...internalLocal },
    pods: both,
    wanted: (layout) => ({
      ...alsoInternal(svl, external(ext)),
      ...extCluster,
      ...spread(layout, svc, both),
      ...spread(layout, svl, [near], [marksForeign]),
      ...endpointChains(layout, both),
    }),
  },
  {
    name: "external policy Cluster, internal Local, no endpoints here",
    fields: { ...everywhere, ...internalLocal },
    pods: [far],
    wanted: (layout) => ({
      ...external(ext),
      ...refusedInside,
      ...extCluster,
      ...spread(layout, svc, [far]),
      ...endpointChains(layout, [far]),
    }),
  },
  {
    name: "external policy Local, internal Cluster, endpoints here",
    fields: { ...everywhere, ...externalLocal },
    pods: both,
    wanted: (layout) => ({
      ...alsoInternal(svc, external(ext)),
      ...extLocal(true),
      ...spread(layout, svc, both, [marksForeign]),
      ...spread(layout, svl, [near]),
      ...endpointChains(layout, both),
    }),
  },
  {
    name: "external policy Local, internal Cluster, no endpoints here",
    fields: { ...everywhere, ...externalLocal },
    pods: [far],
    wanted: (layout) => ({
      ...alsoInternal(svc, external(ext)),
      ...refusedOutside,
      ...extLocal(false),
      ...spread(layout, svc, [far], [marksForeign]),
      ...endpointChains(layout, [far]),
    }),
  },
  {
    name: "both policies Local, endpoints here",
    fields: { ...everywhere, ...internalLocal, ...externalLocal },
    pods: both,
    wanted: (layout) => ({
      ...alsoInternal(svl, external(ext)),
      ...extLocal(true),
      ...spread(layout, svc, both),
      ...spread(layout, svl, [near], [marksForeign]),
      ...endpointChains(layout, both),
    }),
  },
  {
    name: "both policies Local, no endpoints here",
    fields: { ...everywhere, ...internalLocal, ...externalLocal },
    pods: [far],
    wanted: (layout) => ({
      ...external(ext),
      ...refusedInside,
      ...refusedOutside,
      ...extLocal(false),
      ...spread(layout, svc, [far]),
      ...endpointChains(layout, [far]),
    }),
  },
  {
    name: "external policy Local, but nothing external",
    fields: { ...inside, ...externalLocal },
    pods: [far],
    wanted: (layout) => ({
      ...alsoInternal(svc),
      ...spread(layout, svc, [far], [marksForeign]),
      ...endpointChains(layout, [far]),
    }),
  },
];

describe.each(["lean", "endpoint-chains"] as const)("serviceRules() in the layout %s", (layout) => {
  test.each(situations)("$name", ({ fields, pods, wanted }) => {
    expect(rulesOf(planned(fields, pods), layout)).toEqual(canonical(wanted(layout)));
  });

  test("admits sources to the load balancer and drops what was not admitted", () => {
    const rules = rulesOf(planned({ ...everywhere, loadBalancerSourceRanges: ranges }, both), layout);
    const admit = (from: string): string =>
      `-m comment --comment "${name} loadbalancer IP" -s ${from} -j ${ext}`;
    expect(rules).toEqual(
      canonical({
        ...alsoInternal(svc, external(fw)),
        "filter KUBE-PROXY-FIREWALL": [`${arrives(`traffic not accepted by ${fw}`, "1.2.3.4")} -j DROP`],
        ...extCluster,
        // The node's own address lies in the second range, so it may also be its own client.
        [fw]: [
          ...[...ranges, "1.2.3.4"].map(admit),
          `-m comment --comment "other traffic to ${name} will be dropped by KUBE-PROXY-FIREWALL"`,
        ],
        ...spread(layout, svc, both, [marksForeign]),
        ...endpointChains(layout, both),
      }),
    );
  });

  test("does without the firewall while there are no endpoints", () => {
    const rules = rulesOf(planned({ ...everywhere, loadBalancerSourceRanges: ranges }, []), layout);
    expect(Object.keys(rules)).toEqual(["filter KUBE-SERVICES", "filter KUBE-EXTERNAL-SERVICES"]);
  });

  test("puts every chain behind those that it jumps to", () => {
    const fields = { ...everywhere, ...externalLocal, loadBalancerSourceRanges: ranges };
    const { plan, node } = planned(fields, both);
    const { chains } = serviceRules(plan, node, { layout, dropInvalid: true }, "recent");
    const names = chains.map((chain) => chain.name);
    for (const [index, chain] of chains.entries()) {
      for (const { target } of chain.rules) {
        if (target?.kind === "jump" && target.chain !== "KUBE-MARK-MASQ") {
          expect(names.slice(0, index)).toContain(target.chain);
        }
      }
    }
  });
});
