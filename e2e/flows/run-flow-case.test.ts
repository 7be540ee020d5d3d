/**
 * The runner is tested with rules made by hand: right ones, for which it must find nothing, and ones that are wrong in
 * one place each, for which it must find that.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { FlowCase } from "../cases/cases.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { everyKind, everyKind6, everyKind6Rules, everyKindRules, sticky, stickyRules } from "./hand-made.ts";
import { type FlowOptions, runFlowCase } from "./run-flow-case.ts";

const VARIANTS = ["nft", "legacy"] as const;

/** Loads `rules` as they are. */
function loading(rules: string): FlowOptions["apply"] {
  return async ({ exec, flowCase, variant }) => {
    const program = flowCase.config.ipFamily === "IPv6" ? "ip6tables" : "iptables";
    await exec([`${program}-${variant}-restore`, "--noflush"], { input: rules });
  };
}

/** What is wrong, as lines to read: nothing, when every flow meets its fate. */
async function failuresOf(flowCase: FlowCase, options: FlowOptions): Promise<readonly string[]> {
  const results = await runFlowCase(flowCase, options);
  return results.filter(({ ok }) => !ok).map(({ flow, got }) => `${flow.name}: ${got.join(" | ")}`);
}

/** `everyKind` with the flows named only. */
function only(...names: readonly string[]): FlowCase {
  const flows = everyKind.flows.filter(({ name }) => names.includes(name));
  if (flows.length !== names.length) throw new RangeError(`Cannot find flows: ${names.join(", ")}`);
  return { ...everyKind, flows };
}

/** `everyKindRules` with one line replaced. */
function edited(line: string, replacement: string): string {
  if (!everyKindRules.includes(`\n${line}\n`)) throw new RangeError(`Cannot find rule: ${line}`);
  return everyKindRules.replace(`\n${line}\n`, () => `\n${replacement}\n`);
}

describeOnKernel(
  "runFlowCase()",
  { programs: VARIANTS.flatMap((variant) => [`iptables-${variant}`, `ip6tables-${variant}`]) },
  () => {
    const rightRules = [
      ["each kind of flow", everyKind, everyKindRules],
      ["each kind of IPv6 flow", everyKind6, everyKind6Rules],
      ["a Service with affinity", sticky, stickyRules],
    ] as const;
    for (const variant of VARIANTS) {
      test.each(rightRules)(
        `finds nothing wrong with right rules for %s, ${variant}`,
        async (_, flowCase, rules) => {
          const results = await runFlowCase(flowCase, { variant, apply: loading(rules) });
          expect(results.filter(({ ok }) => !ok)).toEqual([]);
          expect(results.map(({ flow }) => flow)).toEqual(flowCase.flows);
        },
      );

      test(`finds everything wrong without rules, ${variant}`, async () => {
        const results = await runFlowCase(everyKind, { variant, apply: async () => undefined });
        for (const { flow, got, ok } of results) {
          expect(got, flow.name).toEqual(["untouched"]);
          expect(ok, flow.name).toBe(["", "ACCEPT"].includes(String(flow.expect.endpoints)));
        }
      });
    }

    const web = "pod to cluster IP";
    const mistakes: readonly [string, string, string, string, string][] = [
      [
        "an endpoint too few",
        web,
        "-A KUBE-SVC-WEB -m statistic --mode random --probability 0.5 -j KUBE-SEP-1",
        "",
        "10.180.0.2:8080",
      ],
      [
        "an endpoint too many",
        web,
        "-A KUBE-SVC-ONE -j KUBE-SEP-1",
        "-I KUBE-SVC-WEB -m statistic --mode random --probability 0.3 -p tcp -j DNAT --to-destination 10.180.0.3:8080",
        "10.180.0.1:8080 | 10.180.0.2:8080 | 10.180.0.3:8080",
      ],
      [
        "a wrong port",
        web,
        "-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.180.0.2:8080",
        "-A KUBE-SEP-2 -p tcp -m tcp -j DNAT --to-destination 10.180.0.2:80",
        "10.180.0.1:8080 | 10.180.0.2:80",
      ],
      [
        "masquerade that is not wanted",
        web,
        "-A KUBE-SVC-WEB ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ",
        "-A KUBE-SVC-WEB -j KUBE-MARK-MASQ",
        "10.180.0.1:8080 masquerade | 10.180.0.2:8080 masquerade",
      ],
      [
        "masquerade that is missing for one endpoint",
        "outside to cluster IP",
        "-A KUBE-SVC-WEB ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ",
        "-A KUBE-SEP-1 -j KUBE-MARK-MASQ",
        "10.180.0.1:8080 masquerade | 10.180.0.2:8080",
      ],
      [
        "hairpin masquerade that is missing",
        "pod to itself",
        "-A KUBE-SEP-1 -s 10.180.0.1/32 -j KUBE-MARK-MASQ",
        "",
        "10.180.0.1:8080",
      ],
      [
        "another source than the node's",
        "outside to node port",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
        "-A KUBE-POSTROUTING -j SNAT --to-source 9.9.9.9",
        "10.180.0.1:8080 source 9.9.9.9 | 10.180.0.2:8080 source 9.9.9.9",
      ],
      [
        "an endpoint that is filtered",
        web,
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT",
        "-A KUBE-SERVICES -d 10.180.0.2/32 -j DROP",
        "10.180.0.1:8080 | DROP",
      ],
      [
        "DROP for REJECT",
        "rejected",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j DROP",
        "DROP",
      ],
      [
        "REJECT for DROP",
        "dropped",
        "-A KUBE-SERVICES -d 172.30.0.44/32 -j DROP",
        "-A KUBE-SERVICES -d 172.30.0.44/32 -j REJECT",
        "REJECT",
      ],
      [
        "a reset for REJECT",
        "rejected",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -p tcp -j REJECT --reject-with tcp-reset",
        "RESET",
      ],
      [
        "another ICMP error for REJECT",
        "rejected, from the node",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT --reject-with icmp-admin-prohibited",
        "ICMP 3/13",
      ],
      [
        "a DROP that is not wanted",
        "nobody's on the node",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT",
        "-A KUBE-SERVICES -p tcp --dport 9999 -j DROP",
        "DROP",
      ],
      [
        "a REJECT that is not wanted",
        "nobody's on the node, UDP",
        "-A KUBE-SERVICES -d 172.30.0.43/32 -j REJECT",
        "-A KUBE-SERVICES -p udp --dport 9999 -j REJECT",
        "REJECT",
      ],
      [
        "a translation that is not wanted",
        "nobody's",
        "-A KUBE-SVC-ONE -j KUBE-SEP-1",
        "-A KUBE-SERVICES -d 8.8.8.8 -j KUBE-SEP-1",
        "10.180.0.1:8080",
      ],
    ];
    for (const variant of VARIANTS) {
      test.each(mistakes)(`detects %s, ${variant}`, async (_, name, line, replacement, got) => {
        const apply = loading(edited(line, replacement));
        expect(await failuresOf(only(name), { variant, apply })).toEqual([`${name}: ${got}`]);
      });
    }

    test("takes rules that discard everything for what they are", async () => {
      const apply = loading("*filter\n-A FORWARD -j DROP\nCOMMIT\n");
      expect(await failuresOf(only("nobody's", "dropped"), { variant: "nft", apply })).toEqual([
        "nobody's: DROP",
      ]);
    });

    test("sees one endpoint of a Service with affinity when nothing makes the kernel forget", async () => {
      const forgetAffinity = (): void => undefined;
      const [failure, ...more] = await failuresOf(sticky, {
        variant: "nft",
        apply: loading(stickyRules),
        forgetAffinity,
      });
      expect(failure).toMatch(/^pod to cluster IP: 10\.180\.0\.[12]:8080$/);
      expect(more).toEqual([]);
    });

    test("gives the command what it needs: manifests, a configuration, the hint and a lock of its own", async () => {
      const seen: string[] = [];
      await runFlowCase(only("nobody's"), {
        variant: "legacy",
        mode: "ipvs",
        apply: async ({ manifests, config, exec, env }) => {
          const kinds = ["0000", "0001"].map(
            (name) => JSON.parse(readFileSync(`${manifests}/${name}.json`, "utf8")).kind,
          );
          seen.push(...kinds, JSON.parse(readFileSync(config, "utf8")).mode);
          seen.push((await exec(["sh", "-c", "echo $XTABLES_LOCKFILE"])).stdout.trim());
          const hint = ["iptables-legacy", "-w", "-t", "mangle", "-S", "KUBE-IPTABLES-HINT"];
          seen.push((await exec(hint)).stdout.split("\n")[0] ?? "");
          expect(existsSync(env["XTABLES_LOCKFILE"] ?? "")).toBe(true);
        },
      });
      expect(seen).toEqual([
        "Node",
        "Service",
        "ipvs",
        expect.stringContaining("xtables.lock"),
        "-N KUBE-IPTABLES-HINT",
      ]);
    });

    test("passes on what goes wrong with making the rules", async () => {
      const apply = loading("*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n");
      await expect(runFlowCase(only("nobody's"), { variant: "nft", apply })).rejects.toThrow(/exit status/);
    });
  },
);
