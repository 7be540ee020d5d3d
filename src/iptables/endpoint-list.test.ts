/**
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Affinity } from "../affinity/affinity.ts";
import type { Family } from "../proxier/address.ts";
import type { Protocol } from "../proxier/objects.ts";
import type { ServicePortPlan } from "../proxier/plan.ts";
import { PoolEndpoint } from "../proxier/pool-endpoint.ts";
import { address } from "../proxier/testing.ts";
import { renderRule } from "./builder/render.ts";
import type { Rule } from "./builder/rule.ts";
import { endpointChainName, maxChainNameLength } from "./chain-names.ts";
import type { ServiceChain } from "./chain-set.ts";
import { EndpointLists, transportOf } from "./endpoint-list.ts";
import type { AffinityMechanism, Layout } from "./settings.ts";

const list = "KUBE-SVC-4LVCYZMTA5CQO6SX";

/** Endpoints 10.0.1.1, 10.0.1.2 … or fd00::1:1 …, at port 8080. */
function pods(count: number, family: Family = "IPv4"): readonly PoolEndpoint[] {
  return Array.from({ length: count }, (_, index) => {
    const text =
      family === "IPv4"
        ? `10.0.${1 + (index >> 8)}.${(index + 1) & 255}`
        : `fd00::1:${(index + 1).toString(16)}`;
    return new PoolEndpoint(address(text), 8080);
  });
}

interface Options {
  readonly layout: Layout;
  readonly family?: Family;
  readonly protocol?: Protocol;
  readonly affinity?: Affinity;
  readonly mechanism?: AffinityMechanism;
}

function lists({
  layout,
  family = "IPv4",
  protocol = "TCP",
  affinity,
  mechanism = "recent",
}: Options): EndpointLists {
  const port: ServicePortPlan = {
    displayName: "ns1/web:http",
    protocol,
    frontends: [],
    internal: [],
    external: [],
    cluster: [],
    local: [],
    affinity,
    serving: [],
  };
  return new EndpointLists(family, port, { layout, dropInvalid: true }, mechanism);
}

/** The rules of chains as they are written. */
function linesOf(chains: readonly ServiceChain[]): readonly string[] {
  return chains.flatMap(({ name, rules }) => rules.map((rule) => renderRule(name, rule)));
}

/** Endpoint chains and the list, as they are written for a Service. */
function written(
  options: Options,
  endpoints: readonly PoolEndpoint[],
  head: readonly Rule[] = [],
): readonly string[] {
  const made = lists(options);
  return linesOf([...made.endpointChains([endpoints]), ...made.spread(list, head, endpoints)]);
}

const affinity: Affinity = { kind: "ClientIP", timeoutSeconds: 10_800 };
const [a, b] = ["KUBE-SEP-SDBMRRHQ72W3Q2SC", "KUBE-SEP-TJY4RIB7FEXCJCPN"];
const full = "--mask 255.255.255.255 --rsource";
const half = "-m statistic --mode random --probability 0.50000000000";

describe("EndpointLists in the lean layout", () => {
  test("translate behind the chance", () => {
    expect(written({ layout: "lean" }, pods(3))).toEqual([
      `-A ${list} -p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.1.1:8080`,
      `-A ${list} -p tcp ${half} -j DNAT --to-destination 10.0.1.2:8080`,
      `-A ${list} -p tcp -j DNAT --to-destination 10.0.1.3:8080`,
    ]);
  });

  test("spell protocol and address of either family", () => {
    expect(written({ layout: "lean", protocol: "UDP" }, pods(1))).toEqual([
      `-A ${list} -p udp -j DNAT --to-destination 10.0.1.1:8080`,
    ]);
    expect(written({ layout: "lean", protocol: "SCTP", family: "IPv6" }, pods(1, "IPv6"))).toEqual([
      `-A ${list} -p sctp -j DNAT --to-destination [fd00::1:1]:8080`,
    ]);
  });

  test("put what belongs to the Service ahead of the choice, and affinity between", () => {
    const head: readonly Rule[] = [{ matches: [], target: { kind: "jump", chain: "KUBE-MARK-MASQ" } }];
    expect(written({ layout: "lean", affinity }, pods(2), head)).toEqual([
      `-A ${list} -j KUBE-MARK-MASQ`,
      `-A ${list} -p tcp -m recent --update --seconds 10800 --reap --name ${a} ${full} -j DNAT --to-destination 10.0.1.1:8080`,
      `-A ${list} -p tcp -m recent --update --seconds 10800 --reap --name ${b} ${full} -j DNAT --to-destination 10.0.1.2:8080`,
      `-A ${list} -p tcp ${half} -m recent --set --name ${a} ${full} -j DNAT --to-destination 10.0.1.1:8080`,
      `-A ${list} -p tcp -m recent --set --name ${b} ${full} -j DNAT --to-destination 10.0.1.2:8080`,
    ]);
  });

  test("have endpoint chains after all where sets remember", () => {
    expect(written({ layout: "lean", affinity, mechanism: "set" }, pods(2))).toEqual([
      `-A ${a} -j SET --add-set ${a} src --exist --timeout 10800`,
      `-A ${a} -p tcp -j DNAT --to-destination 10.0.1.1:8080`,
      `-A ${b} -j SET --add-set ${b} src --exist --timeout 10800`,
      `-A ${b} -p tcp -j DNAT --to-destination 10.0.1.2:8080`,
      `-A ${list} -m set --match-set ${a} src -j ${a}`,
      `-A ${list} -m set --match-set ${b} src -j ${b}`,
      `-A ${list} ${half} -j ${a}`,
      `-A ${list} -j ${b}`,
    ]);
  });
});

describe("EndpointLists in the layout endpoint-chains", () => {
  test("jump to chains that mark hairpin traffic and translate", () => {
    expect(written({ layout: "endpoint-chains" }, pods(2))).toEqual([
      `-A ${a} -s 10.0.1.1/32 -j KUBE-MARK-MASQ`,
      `-A ${a} -p tcp -j DNAT --to-destination 10.0.1.1:8080`,
      `-A ${b} -s 10.0.1.2/32 -j KUBE-MARK-MASQ`,
      `-A ${b} -p tcp -j DNAT --to-destination 10.0.1.2:8080`,
      `-A ${list} ${half} -j ${a}`,
      `-A ${list} -j ${b}`,
    ]);
  });

  test("look clients up in the list and record them in the endpoint's chain", () => {
    expect(written({ layout: "endpoint-chains", affinity }, pods(2))).toEqual([
      `-A ${a} -s 10.0.1.1/32 -j KUBE-MARK-MASQ`,
      `-A ${a} -p tcp -m recent --set --name ${a} ${full} -j DNAT --to-destination 10.0.1.1:8080`,
      `-A ${b} -s 10.0.1.2/32 -j KUBE-MARK-MASQ`,
      `-A ${b} -p tcp -m recent --set --name ${b} ${full} -j DNAT --to-destination 10.0.1.2:8080`,
      `-A ${list} -m recent --rcheck --seconds 10800 --reap --name ${a} ${full} -j ${a}`,
      `-A ${list} -m recent --rcheck --seconds 10800 --reap --name ${b} ${full} -j ${b}`,
      `-A ${list} ${half} -j ${a}`,
      `-A ${list} -j ${b}`,
    ]);
  });

  test("remember in sets, whose names tell the families apart", () => {
    const options = { layout: "endpoint-chains", affinity, mechanism: "set", family: "IPv6" } as const;
    const [pod] = pods(1, "IPv6");
    const name = endpointChainName("ns1/web:http", "TCP", pod?.target ?? "");
    const set = name.replace("KUBE-SEP-", "KUBE-6-SEP-");
    expect(written(options, pods(1, "IPv6"))).toEqual([
      `-A ${name} -s fd00::1:1/128 -j KUBE-MARK-MASQ`,
      `-A ${name} -j SET --add-set ${set} src --exist --timeout 10800`,
      `-A ${name} -p tcp -j DNAT --to-destination [fd00::1:1]:8080`,
      `-A ${list} -m set --match-set ${set} src -j ${name}`,
      `-A ${list} -j ${name}`,
    ]);
  });

  test("look at whole addresses of IPv6", () => {
    const lines = written({ layout: "endpoint-chains", affinity, family: "IPv6" }, pods(1, "IPv6"));
    expect(
      lines.filter((line) => line.includes("--mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource")),
    ).toHaveLength(2);
  });
});

/** The share of the packets that reach the chain, by where they are translated to. */
function shares(chains: ReadonlyMap<string, ServiceChain>, name: string, before = 1): Map<string, number> {
  const result = new Map<string, number>();
  let left = before;
  for (const { matches, target } of chains.get(name)?.rules ?? []) {
    const chance = matches.find((match) => match.kind === "random");
    const taken = left * (chance === undefined ? 1 : chance.threshold / 2 ** 31);
    left -= taken;
    const deeper =
      target?.kind === "jump"
        ? shares(chains, target.chain, taken)
        : new Map([[JSON.stringify(target), taken]]);
    for (const [to, share] of deeper) {
      result.set(to, (result.get(to) ?? 0) + share);
    }
  }
  return result;
}

describe("EndpointLists.spread() over many endpoints", () => {
  test.each([
    // endpoints, chains, rules in the longest
    [0, 1, 0],
    [1, 1, 1],
    [16, 1, 16],
    [17, 3, 9],
    [256, 17, 16],
    [257, 19, 16],
    [5_000, 785, 16],
    [12_289, 1_042, 16],
    // From here on lists grow, because the names of parts have an end.
    [16_000, 1_221, 20],
    [20_000, 757, 28],
  ])("%i endpoints take %i chains of at most %i rules", (count, chainCount, longest) => {
    const chains = lists({ layout: "lean" }).spread(list, [], pods(count));
    expect(chains).toHaveLength(chainCount);
    expect(Math.max(...chains.map(({ rules }) => rules.length))).toBe(longest);
    expect(chains.at(-1)?.name).toBe(list);
    const names = chains.map(({ name }) => name);
    expect(new Set(names).size).toBe(chainCount);
    for (const [index, { name, rules }] of chains.entries()) {
      expect(name.length).toBeLessThanOrEqual(maxChainNameLength);
      for (const { target } of rules) {
        if (target?.kind === "jump") {
          expect(names.indexOf(target.chain), `${name} to ${target.chain}`).toBeLessThan(index);
        }
      }
    }
  });

  test.each([17, 257, 300, 5_000])("each of %i endpoints gets the same share", (count) => {
    const chains = lists({ layout: "lean" }).spread(list, [], pods(count));
    const byName = new Map(chains.map((one) => [one.name, one]));
    const result = [...shares(byName, list).values()];
    expect(result).toHaveLength(count);
    for (const share of result) {
      expect(share * count).toBeCloseTo(1, 4);
    }
  });

  test("has names for every number of endpoints", () => {
    const spread = (count: number): readonly ServiceChain[] =>
      lists({ layout: "lean" }).spread(list, [], pods(count));
    for (const count of [10_000, 12_289, 12_961, 13_872, 16_200, 24_000, 50_000]) {
      expect(Math.max(...spread(count).map(({ name }) => name.length))).toBeLessThanOrEqual(
        maxChainNameLength,
      );
    }
  });

  test("looks up every client in the entry chain before it chooses a part", () => {
    const chains = lists({ layout: "lean", affinity }).spread(list, [], pods(20));
    const [first, second, entry] = chains;
    expect(chains).toHaveLength(3);
    expect(
      linesOf([entry ?? { name: list, rules: [] }]).filter((line) => line.includes("--update")),
    ).toHaveLength(20);
    expect(entry?.rules.slice(20).map(({ target }) => target)).toEqual([
      { kind: "jump", chain: `${list}-1` },
      { kind: "jump", chain: `${list}-2` },
    ]);
    for (const part of [first, second]) {
      expect(part?.rules).toHaveLength(10);
      expect(
        linesOf(part === undefined ? [] : [part]).every((line) => line.includes("--set --name KUBE-SEP-")),
      ).toBe(true);
    }
  });
});

test("transportOf() knows every protocol", () => {
  expect((["TCP", "UDP", "SCTP"] as const).map((protocol) => transportOf({ protocol }))).toEqual([
    "tcp",
    "udp",
    "sctp",
  ]);
});
