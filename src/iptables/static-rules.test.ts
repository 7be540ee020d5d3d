/**
 * Rules that do not depend on Services, against kube-proxy's.
 *
 * Expected lines are spelled as kube-proxy writes them and brought into our form by `canonicalLine()`.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import type { Family } from "../proxier/address.ts";
import type { NodePlan } from "../proxier/plan.ts";
import { address, cidr } from "../proxier/testing.ts";
import { canonicalLine } from "./builder/parse.ts";
import { renderEdit, renderRule } from "./builder/render.ts";
import type { Rule } from "./builder/rule.ts";
import type { DispatchName } from "./chain-set.ts";
import type { RuleSettings } from "./settings.ts";
import {
  dispatchTail,
  firewallJumpRules,
  jumpRules,
  ownChains,
  rootChains,
  staticChains,
} from "./static-rules.ts";

function node(fields: Partial<NodePlan> = {}): NodePlan {
  const family = fields.family ?? "IPv4";
  return {
    family,
    detector: undefined,
    masqueradeMark: 0x4000,
    nodePorts: { kind: "all", loopback: family === "IPv4" },
    localhostNodePorts: family === "IPv4",
    ...fields,
  };
}

const plain: RuleSettings = { layout: "endpoint-chains", dropInvalid: true };
const lean: RuleSettings = { layout: "lean", dropInvalid: true };

function lines(chain: string, rules: readonly Rule[]): readonly string[] {
  return rules.map((rule) => renderRule(chain, rule));
}

/** Chains by table and name, as they are written. */
function chainsOf(plan: NodePlan, settings: RuleSettings): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    staticChains(plan, settings).map(({ table, name, rules }) => [`${table} ${name}`, lines(name, rules)]),
  );
}

function canonical(text: string, family: Family = "IPv4"): readonly string[] {
  return text
    .trim()
    .split("\n")
    .map((line) => canonicalLine(line.trim(), family));
}

function tail(name: DispatchName, plan: NodePlan, settings: RuleSettings = plain): readonly string[] {
  return lines(rootChains[name].chain, dispatchTail(name, plan, settings));
}

describe("staticChains()", () => {
  const forward = canonical(`
    -A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
    -A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x00004000/0x00004000 -j ACCEPT
    -A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  `);
  const postrouting = canonical(`
    -A KUBE-POSTROUTING -m mark ! --mark 0x00004000/0x00004000 -j RETURN
    -A KUBE-POSTROUTING -j MARK --xor-mark 0x00004000
    -A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
  `);
  const firewall = canonical(`
    -A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
  `);
  const wanted = {
    "filter KUBE-FORWARD": forward,
    "filter KUBE-PROXY-CANARY": [],
    "nat KUBE-MARK-MASQ": canonical("-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000"),
    "nat KUBE-POSTROUTING": postrouting,
    "nat KUBE-PROXY-CANARY": [],
    "filter KUBE-FIREWALL": firewall,
  };

  test("are kube-proxy's in the layout endpoint-chains", () => {
    expect(chainsOf(node(), plain)).toEqual(wanted);
  });

  test("do without the chain that is shared with kubelet unless node ports answer on loopback", () => {
    const { "filter KUBE-FIREWALL": _, ...rest } = wanted;
    expect(chainsOf(node({ localhostNodePorts: false }), plain)).toEqual(rest);
    expect(chainsOf(node({ family: "IPv6" }), plain)).toEqual(rest);
  });

  test("let invalid packets pass where conntrack is liberal", () => {
    const { "filter KUBE-FORWARD": rules } = chainsOf(node(), { ...plain, dropInvalid: false });
    expect(rules).toEqual(forward.slice(1));
  });

  test.each([
    ["IPv4", "7,32 0 0 12,2 0 0 0,32 0 0 16,97 0 0 0,29 0 1 0,6 0 0 65535,6 0 0 0"],
    ["IPv6", undefined],
  ] as const)("add two rules for hairpin traffic of %s in the lean layout", (family, bytecode) => {
    const chains = chainsOf(node({ family }), lean);
    const hairpin = /-m conntrack --ctstate DNAT -m bpf --bytecode "([^"]+)" -j (\S+)$/;
    const [accepted, marked] = [chains["filter KUBE-FORWARD"]?.[2], chains["nat KUBE-POSTROUTING"]?.[0]];
    expect(accepted).toMatch(/^-A KUBE-FORWARD -m comment --comment "kubernetes forwarding hairpin rule"/);
    expect(marked).toMatch(
      /^-A KUBE-POSTROUTING -m comment --comment "kubernetes hairpin traffic requiring SNAT"/,
    );
    const [acceptedBy, markedBy] = [accepted, marked].map((line) => hairpin.exec(line ?? ""));
    expect([acceptedBy?.[2], markedBy?.[2]]).toEqual(["ACCEPT", "KUBE-MARK-MASQ"]);
    expect(acceptedBy?.[1]).toBe(markedBy?.[1]);
    if (bytecode !== undefined) {
      expect(acceptedBy?.[1]).toBe(bytecode);
    }
    expect(chains["filter KUBE-FORWARD"]?.toSpliced(2, 1)).toEqual(forward);
    expect(chains["nat KUBE-POSTROUTING"]?.slice(1)).toEqual(postrouting);
  });

  test.each([
    [0, "0x1"],
    [14, "0x4000"],
    [31, "0x80000000"],
  ])("mark bit %i", (bit, mark) => {
    const chains = chainsOf(node({ masqueradeMark: 2 ** bit }), plain);
    const rules = [
      chains["nat KUBE-MARK-MASQ"],
      chains["nat KUBE-POSTROUTING"],
      chains["filter KUBE-FORWARD"],
    ].flat();
    expect(rules.filter((rule) => rule?.includes("mark"))).toEqual([
      `-A KUBE-MARK-MASQ -j MARK --set-xmark ${mark}/${mark}`,
      `-A KUBE-POSTROUTING -m mark ! --mark ${mark}/${mark} -j RETURN`,
      `-A KUBE-POSTROUTING -j MARK --set-xmark ${mark}/0x0`,
      `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${mark}/${mark} -j ACCEPT`,
    ]);
  });

  test("stand behind those that they jump to, and are ours or shared with kubelet", () => {
    const names: string[] = [];
    for (const { table, name, rules } of staticChains(node(), lean)) {
      expect([...ownChains[table], "KUBE-FIREWALL"]).toContain(name);
      for (const { target } of rules) {
        if (target?.kind === "jump") {
          expect(names).toContain(target.chain);
        }
      }
      names.push(name);
    }
  });
});

describe("dispatchTail() of the services", () => {
  const words = `-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"`;

  test.each([
    ["everywhere", node(), "-m addrtype --dst-type LOCAL"],
    [
      "everywhere but on loopback",
      node({ localhostNodePorts: false, nodePorts: { kind: "all", loopback: false } }),
      "-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8",
    ],
    ["everywhere in IPv6", node({ family: "IPv6" }), "-m addrtype --dst-type LOCAL ! -d ::1/128"],
  ])("takes node ports %s", (_, plan, matches) => {
    expect(tail("services", plan)).toEqual(
      canonical(`-A KUBE-SERVICES ${words} ${matches} -j KUBE-NODEPORTS`, plan.family),
    );
  });

  test("takes node ports on the listed addresses, however many", () => {
    const listed = (addresses: readonly string[], family: Family): readonly string[] =>
      tail("services", node({ family, nodePorts: { kind: "listed", addresses: addresses.map(address) } }));
    expect(listed([], "IPv4")).toEqual([]);
    expect(listed(["127.0.0.1", "192.168.0.2"], "IPv4")).toEqual(
      canonical(`
        -A KUBE-SERVICES ${words} -d 127.0.0.1 -j KUBE-NODEPORTS
        -A KUBE-SERVICES ${words} -d 192.168.0.2 -j KUBE-NODEPORTS
      `),
    );
    expect(listed(["fd00::2"], "IPv6")).toEqual(
      canonical(`-A KUBE-SERVICES ${words} -d fd00::2 -j KUBE-NODEPORTS`, "IPv6"),
    );
  });
});

describe("dispatchTail() of the health checks", () => {
  const cases = [
    [{ kind: "cidr", cidr: cidr("10.244.0.0/16") }, "-s 10.244.0.0/16"],
    [{ kind: "bridge", name: "cni0" }, "-i cni0"],
    [{ kind: "prefix", prefix: "veth" }, "-i veth+"],
  ] as const;

  test.each(cases)("drops invalid replies of pods that are told by %o", (detector, match) => {
    expect(tail("health", node({ detector }))).toEqual([
      `-A KUBE-NODEPORTS ${match} -m comment --comment "kubernetes invalid replies of pods" -m conntrack --ctstate INVALID -j DROP`,
    ]);
  });

  test.each([
    ["conntrack is liberal", { detector: cases[0][0] }, { ...plain, dropInvalid: false }],
    ["nothing tells pods", {}, plain],
    ["everything counts as pods", { detector: { kind: "cidr", cidr: cidr("0.0.0.0/0") } }, plain],
  ] as const)("drops none where %s", (_, fields, settings) => {
    expect(tail("health", node(fields), settings)).toEqual([]);
  });
});

test("dispatchTail() is empty for the other trees", () => {
  for (const name of ["node-ports", "no-internal", "no-external", "firewall"] as const) {
    expect(tail(name, node({ detector: { kind: "bridge", name: "cni0" } }))).toEqual([]);
  }
});

describe("jumpRules and firewallJumpRules", () => {
  const opened = "-m conntrack --ctstate NEW -m comment --comment";

  test("are kube-proxy's, in its order", () => {
    const inserted = [...jumpRules, ...firewallJumpRules].map(
      ({ table, from, rule }) => `${table} ${renderEdit({ operation: "insert", chain: from, rule })}`,
    );
    expect(inserted).toEqual([
      `filter -I INPUT ${opened} "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES`,
      `filter -I FORWARD ${opened} "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES`,
      `filter -I INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS`,
      `filter -I FORWARD ${opened} "kubernetes service portals" -j KUBE-SERVICES`,
      `filter -I OUTPUT ${opened} "kubernetes service portals" -j KUBE-SERVICES`,
      `filter -I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD`,
      `filter -I INPUT ${opened} "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL`,
      `filter -I OUTPUT ${opened} "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL`,
      `filter -I FORWARD ${opened} "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL`,
      `nat -I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES`,
      `nat -I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES`,
      `nat -I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING`,
      "filter -I INPUT -j KUBE-FIREWALL",
      "filter -I OUTPUT -j KUBE-FIREWALL",
    ]);
  });

  test("lead to chains of ours", () => {
    const own: Readonly<Record<string, readonly string[]>> = ownChains;
    const foreign = jumpRules.filter(
      ({ table, rule: { target } }) => target?.kind !== "jump" || own[table]?.includes(target.chain) !== true,
    );
    expect(foreign).toEqual([]);
  });
});
