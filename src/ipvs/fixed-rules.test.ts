/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { renderRule } from "../iptables/builder/render.ts";
import type { Family } from "../proxier/address.ts";
import type { LocalDetector, NodePlan } from "../proxier/plan.ts";
import { cidr } from "../proxier/testing.ts";
import { fixedJumps, ownChains, ruleTables } from "./fixed-chains.ts";
import { fixedChains } from "./fixed-rules.ts";
import type { RuleSettings } from "./rule-settings.ts";
import { setName, setRoles } from "./sets.ts";
import { ruleSettings } from "./testing.ts";

const podNetworks = { IPv4: "10.244.0.0/16", IPv6: "fd00:244::/64" } as const;

function node(family: Family, detector?: LocalDetector): NodePlan {
  return {
    family,
    detector,
    masqueradeMark: 0x4000,
    nodePorts: { kind: "all", loopback: false },
    localhostNodePorts: false,
  };
}

function byAddress(family: Family): LocalDetector {
  return { kind: "cidr", cidr: cidr(podNetworks[family]) };
}

/** Rules as lines, `table -A CHAIN …`. */
function lines(plan: NodePlan, settings: Partial<RuleSettings> = {}): readonly string[] {
  return fixedChains(plan, { ...ruleSettings, ...settings }).flatMap(({ table, name, rules }) =>
    rules.map((rule) => `${table} ${renderRule(name, rule)}`),
  );
}

describe("fixedChains()", () => {
  test.each([
    ["IPv4", "golden/fixed-rules.ipv4"],
    ["IPv6", "golden/fixed-rules.ipv6"],
  ] as const)("is this text for %s", async (family, file) => {
    await expect(`${lines(node(family, byAddress(family))).join("\n")}\n`).toMatchFileSnapshot(file);
  });

  test.each([
    ["IPv4", "! -d 127.0.0.0/8 "],
    ["IPv6", "! -d ::1/128 "],
  ] as const)(
    "refuses no %s packets to loopback node ports where a forwarder serves these",
    (family, except) => {
      const jump = (plan: NodePlan): readonly string[] =>
        lines(plan).filter((line) => line.endsWith(" -j KUBE-SLUICE-PORT"));
      expect(jump(node(family)).join()).not.toContain(except);
      expect(jump({ ...node(family), localhostForwarder: true }).join()).toContain(except);
    },
  );

  test("leads what is for node ports on localhost to the rules that serve it, before anything else", () => {
    const services = (plan: NodePlan): readonly string[] =>
      lines(plan).filter((line) => line.startsWith("nat -A KUBE-SERVICES "));
    expect(services({ ...node("IPv4"), localhostNodePorts: true })).toEqual([
      'nat -A KUBE-SERVICES -d 127.0.0.0/8 -m comment --comment "kubernetes service nodeports on localhost" -j KUBE-LOCALHOST',
      ...services(node("IPv4")),
    ]);
  });

  test("drops what is for a node port without endpoints here, also while its virtual server drains", () => {
    const refusals = lines(node("IPv4")).filter((line) => line.includes("KUBE-SLUICE-DRAINING dst,dst"));
    expect(refusals.filter((line) => line.includes("-A KUBE-SLUICE-REFUSE "))).toEqual([
      expect.stringMatching(/-p tcp .*KUBE-SLUICE-PORT-DROP-TCP dst .*KUBE-SLUICE-NODE-IP dst .* -j DROP$/),
      expect.stringMatching(/ -j REJECT /),
    ]);
  });

  test("puts each chain behind those that it jumps to, and leads to all of them", () => {
    const chains = fixedChains(node("IPv4", byAddress("IPv4")), ruleSettings);
    const seen = new Set<string>();
    const led = new Set(fixedJumps.map(({ table, rule }) => `${table} ${targetOf(rule.target)}`));
    for (const { table, name, rules } of chains) {
      for (const target of rules.map((rule) => targetOf(rule.target)).filter((one) => one !== "")) {
        expect(seen).toContain(`${table} ${target}`);
        led.add(`${table} ${target}`);
      }
      seen.add(`${table} ${name}`);
    }
    expect([...seen].filter((chain) => !led.has(chain) && !chain.endsWith("CANARY"))).toEqual([]);
  });

  test("has the chains that are known as ours, and no others", () => {
    const chains = fixedChains(node("IPv4"), ruleSettings);
    for (const table of ruleTables) {
      const names = chains.filter((chain) => chain.table === table).map(({ name }) => name);
      expect(names.toSorted()).toEqual(ownChains[table].toSorted());
    }
  });

  test("looks at every set, each in one of the two ways to recognise hairpin traffic", () => {
    const text = [...lines(node("IPv6")), ...lines(node("IPv6"), { hairpin: "set" })].join("\n");
    const unused = setRoles
      .map((role) => setName(role, "IPv6"))
      .filter((name) => !text.includes(` ${name} `));
    expect(unused).toEqual([]);
  });

  test("never looks at the other family's sets", () => {
    expect(
      lines(node("IPv6", byAddress("IPv6"))).filter((line) => / KUBE-(?!6-)\S+ (dst|src)/.test(line)),
    ).toEqual([]);
  });

  test("knows pods by interface in INPUT, and takes nobody's own packets for theirs", () => {
    const text = lines(node("IPv4", { kind: "prefix", prefix: "veth" }));
    expect(text.filter((line) => line.includes("veth+"))).toEqual([
      expect.stringContaining("filter -A KUBE-IPVS-FILTER -i veth+"),
      expect.stringContaining("mangle -A KUBE-SLUICE-MARK-IN -i veth+"),
      expect.stringContaining("nat -A KUBE-SERVICES ! -i veth+"),
    ]);
  });

  test("marks nothing in INPUT without a detector, and everything with one that covers everything", () => {
    const markIn = (plan: NodePlan): readonly string[] =>
      lines(plan).filter((line) => line.includes("-A KUBE-SLUICE-MARK-IN"));
    expect(markIn(node("IPv4"))).toEqual([]);
    const all = node("IPv4", { kind: "cidr", cidr: cidr("0.0.0.0/0") });
    expect(markIn(all)).toEqual([
      "mangle -A KUBE-SLUICE-MARK-IN -m set --match-set KUBE-SLUICE-MARK dst,dst -j SET --map-set KUBE-SLUICE-MARK dst,dst --map-mark",
    ]);
    expect(lines(all).filter((line) => line.includes("--src-type LOCAL"))).toEqual([]);
  });

  test("leaves the decision about Services to the host's own rules when told to", () => {
    const accepted = lines(node("IPv4"), { acceptServices: false }).filter(
      (line) => line.startsWith("filter -A KUBE-IPVS-FILTER") && line.endsWith("ACCEPT"),
    );
    expect(accepted).toEqual([]);
  });

  test("answers ping and drops invalid packets only when told to", () => {
    const text = lines(node("IPv4", byAddress("IPv4")), { answerPing: false, dropInvalid: false }).join("\n");
    expect(text).not.toContain("icmp-type");
    expect(text).not.toContain("INVALID");
  });
});

function targetOf(target: ReturnType<typeof fixedChains>[number]["rules"][number]["target"]): string {
  return target?.kind === "jump" ? target.chain : "";
}
