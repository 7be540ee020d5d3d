/**
 * Explanations of made-up kernels: what is remembered, what drifts, what stands in the way.
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { parseSave } from "../iptables/builder/mod.ts";
import { parseConnection } from "./connection.ts";
import { explain, modeOf } from "./explain.ts";
import type { Explanation } from "./explanation.ts";
import { type NodeState, noMemory } from "./node-state.ts";
import { say } from "./say.ts";

const rules = `*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-WEB - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m comment --comment "default/web cluster IP" -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SVC-WEB -p tcp -m recent --update --seconds 60 --reap --name KUBE-SEP-A --mask 255.255.255.255 --rsource -j DNAT --to-destination 10.244.1.1:8080
-A KUBE-SVC-WEB -m set --match-set KUBE-SEP-B src -j DNAT --to-destination 10.244.1.2:8080
-A KUBE-SVC-WEB -p tcp -m statistic --mode random --probability 0.50000000000 -m recent --set --name KUBE-SEP-A --mask 255.255.255.255 --rsource -j DNAT --to-destination 10.244.1.1:8080
-A KUBE-SVC-WEB -p tcp -j DNAT --to-destination 10.244.1.2:8080
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -d 10.244.1.1/32 -j ACCEPT
-A FORWARD -m limit --limit 5/min -j ACCEPT
COMMIT
`;

const kernel: NodeState = {
  family: "IPv4",
  ruleset: parseSave(rules, "IPv4"),
  sets: new Map(),
  servers: [],
  localAddresses: new Set(["192.0.2.1"]),
  memory: noMemory,
};

function ask(state: NodeState, from = "10.244.1.9"): Explanation {
  const connection = parseConnection({ from, to: "10.96.0.10:80" });
  return explain({ connection, objects: undefined, kernel: state });
}

describe("explain() of a kernel alone", () => {
  test("tells where the packet may go, and who ends it on the way", () => {
    const explanation = ask(kernel);
    expect(explanation).toMatchObject({
      mode: "iptables",
      readFrom: "kernel",
      verdict: "forward",
      destinations: [
        { endpoint: "10.244.1.1:8080", probability: 0.5, verdict: "forward" },
        {
          endpoint: "10.244.1.2:8080",
          probability: 0.5,
          verdict: "drop",
          refusedBy: { table: "filter", rule: "policy DROP of FORWARD" },
        },
      ],
    });
    expect(say(explanation)).toContain("On its way to 10.244.1.2:8080 it is dropped by: filter policy DROP");
  });

  test("names rules that it does not understand", () => {
    expect(ask(kernel).notes).toEqual([
      "This rule may apply, but is not understood: filter: -A FORWARD -m limit --limit 5/min -j ACCEPT",
    ]);
  });

  test("tells of a client in a list, for how long yet, and where it would go otherwise", () => {
    const recent = new Map([["KUBE-SEP-A", new Map([["10.244.1.9", { secondsAgo: 20 }]])]]);
    const explanation = ask({ ...kernel, memory: { ...noMemory, recent } });
    expect(explanation.affinityEntry).toEqual({
      mechanism: "recent",
      name: "KUBE-SEP-A",
      endpoint: "10.244.1.1:8080",
      secondsAgo: 20,
      secondsLeft: 40,
    });
    expect(explanation.destinations).toMatchObject([{ endpoint: "10.244.1.1:8080", probability: 1 }]);
    expect(explanation.withoutAffinity).toHaveLength(2);
    expect(say(explanation)).toContain("list KUBE-SEP-A, last seen 20 s ago, 40 s left");
  });

  test("forgets a client of a list in time, and takes one of unknown time for remembered", () => {
    const seen = (secondsAgo: number | undefined): Explanation => {
      const recent = new Map([["KUBE-SEP-A", new Map([["10.244.1.9", { secondsAgo }]])]]);
      return ask({ ...kernel, memory: { ...noMemory, recent } });
    };
    expect(seen(61).affinityEntry).toBeUndefined();
    expect(seen(undefined).affinityEntry).toEqual({
      mechanism: "recent",
      name: "KUBE-SEP-A",
      endpoint: "10.244.1.1:8080",
    });
    expect(say(seen(undefined))).toContain("for how long yet the kernel does not show");
  });

  test("tells of a client in a set", () => {
    const sets = new Map([["KUBE-SEP-B", new Map([["10.244.1.9", 55]])]]);
    expect(ask({ ...kernel, memory: { ...noMemory, sets } }).affinityEntry).toEqual({
      mechanism: "ipset",
      name: "KUBE-SEP-B",
      endpoint: "10.244.1.2:8080",
      secondsLeft: 55,
    });
    expect(ask({ ...kernel, memory: { ...noMemory, sets } }, "10.244.1.8").affinityEntry).toBeUndefined();
  });

  test("tells of a client that IPVS has bound", () => {
    const server = {
      protocol: "TCP",
      address: "10.96.0.10",
      port: 80,
      scheduler: "rr",
      persistence: { timeoutSeconds: 60 },
    } as const;
    const realServers = ["10.244.1.1", "10.244.1.2"].map(
      (address) => ({ address, port: 8080, weight: 1, forwarding: "masquerade" }) as const,
    );
    const template = {
      server: "TCP 10.96.0.10:80",
      client: "10.244.1.9",
      target: "10.244.1.2:8080",
      secondsLeft: 7,
    };
    const state: NodeState = {
      ...kernel,
      ruleset: { tables: [] },
      servers: [{ server, realServers }],
      localAddresses: new Set(["10.96.0.10"]),
      memory: { ...noMemory, templates: [template] },
    };
    expect(ask(state)).toMatchObject({
      affinityEntry: { mechanism: "ipvs", name: "TCP 10.96.0.10:80", secondsLeft: 7 },
      destinations: [{ endpoint: "10.244.1.2:8080", probability: 1 }],
      withoutAffinity: [{ probability: 0.5 }, { probability: 0.5 }],
    });
  });

  test("says so where no proxy's rules are", () => {
    const explanation = ask({ ...kernel, ruleset: { tables: [] } });
    expect(explanation).toMatchObject({ mode: "none", verdict: "none" });
    expect(say(explanation)).toContain("The kernel leads no packets to a proxy's rules.");
  });
});

describe("modeOf()", () => {
  test("tells the modes apart by the sets", () => {
    expect(modeOf(kernel)).toBe("iptables");
    const sets = new Map([["KUBE-6-CLUSTER-IP", { type: "hash:ip,port", entries: new Set<string>() }]]);
    expect(modeOf({ ...kernel, sets })).toBe("ipvs");
  });
});
