/**
 * Tests of claims to addresses and ports.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Claimant,
  ClaimRegistry,
  claimChanges,
  claimKey,
  claimsOf,
  describeClaim,
  type HeldClaim,
} from "./claims.ts";
import type { ServiceObject } from "./objects.ts";
import { type ServicePort, servicePorts } from "./service-port.ts";
import { address, port, service } from "./testing.ts";

function servicePort(fields: Partial<ServiceObject>): ServicePort {
  const [first] = servicePorts(service(fields), "IPv4").ports;
  if (first === undefined) {
    throw new TypeError("Expected a service port");
  }
  return first;
}

function claimant(displayName: string, isClusterIP = false): Claimant {
  return { displayName, service: displayName, isClusterIP };
}

describe("claimKey() and describeClaim()", () => {
  test("name protocol, address and port", () => {
    const ip = address("10.96.0.10");
    expect(claimKey("TCP", ip, 80)).toBe("TCP 10.96.0.10 80");
    expect(describeClaim({ kind: "ClusterIP", address: ip, port: 80 }, "TCP")).toBe("10.96.0.10 port 80/TCP");
  });

  test("name a node port without an address", () => {
    expect(claimKey("UDP", undefined, 30053)).toBe("UDP node 30053");
    expect(describeClaim({ kind: "NodePort", address: undefined, port: 30053 }, "UDP")).toBe(
      "node port 30053/UDP",
    );
  });
});

describe("claimsOf()", () => {
  test("asks for everything that the port has, in order of precedence", () => {
    const claims = claimsOf(
      servicePort({
        ports: [port({ nodePort: 30080 })],
        externalIPs: ["203.0.113.2", "203.0.113.1"],
        loadBalancerIngress: [{ ip: "198.51.100.1", ipMode: "" }],
      }),
    );
    expect(claims).toEqual([
      { kind: "ClusterIP", address: "10.96.0.10", port: 80, key: "TCP 10.96.0.10 80" },
      { kind: "ExternalIP", address: "203.0.113.2", port: 80, key: "TCP 203.0.113.2 80" },
      { kind: "ExternalIP", address: "203.0.113.1", port: 80, key: "TCP 203.0.113.1 80" },
      { kind: "LoadBalancer", address: "198.51.100.1", port: 80, key: "TCP 198.51.100.1 80" },
      { kind: "NodePort", address: undefined, port: 30080, key: "TCP node 30080" },
    ]);
  });

  test("asks once for an address that the Service has in several roles", () => {
    const claims = claimsOf(
      servicePort({
        externalIPs: ["10.96.0.10", "203.0.113.1"],
        loadBalancerIngress: [
          { ip: "203.0.113.1", ipMode: "" },
          { ip: "10.96.0.10", ipMode: "" },
        ],
      }),
    );
    expect(claims.map(({ kind, address: ip }) => [kind, ip])).toEqual([
      ["ClusterIP", "10.96.0.10"],
      ["ExternalIP", "203.0.113.1"],
    ]);
  });
});

describe("claimChanges()", () => {
  const held = (key: string, displayName = "ns/web", isClusterIP = false): HeldClaim => ({
    key,
    displayName,
    isClusterIP,
  });

  test("tells what is asked for no longer and what is new", () => {
    expect(claimChanges([held("a"), held("b")], [held("b"), held("c")])).toEqual({
      withdrawn: [held("a")],
      entered: [held("c")],
    });
    expect(claimChanges([held("a")], [held("a")])).toEqual({ withdrawn: [], entered: [] });
  });

  test("takes a claim under another name for another claim", () => {
    expect(claimChanges([held("a", "ns/web:x")], [held("a", "ns/web:y")])).toEqual({
      withdrawn: [held("a", "ns/web:x")],
      entered: [held("a", "ns/web:y")],
    });
  });

  test("takes a claim of another precedence for another claim", () => {
    expect(claimChanges([held("a")], [held("a", "ns/web", true)])).toEqual({
      withdrawn: [held("a")],
      entered: [held("a", "ns/web", true)],
    });
  });

  test("looks at every claim a few times only, so that a Service with many cannot stall the rest", () => {
    let looks = 0;
    const counted = (count: number): readonly HeldClaim[] =>
      Array.from({ length: count }, (_, index) => ({
        get key(): string {
          looks += 1;
          return `TCP 203.0.113.1 ${index}`;
        },
        displayName: "ns/web",
        isClusterIP: false,
      }));
    claimChanges(counted(1000), counted(1000));
    expect(looks).toBeLessThanOrEqual(4 * 1000);
  });
});

describe("ClaimRegistry", () => {
  test("gives a key to its only claimant", () => {
    const registry = new ClaimRegistry();
    expect(registry.winner("key")).toBeUndefined();
    expect(registry.add("key", claimant("ns/web"))).toEqual([]);
    expect(registry.winner("key")).toEqual(claimant("ns/web"));
    expect(registry.winner("other")).toBeUndefined();
  });

  test("gives a key to the first by name, and tells the others when the owner changes", () => {
    const registry = new ClaimRegistry();
    registry.add("key", claimant("ns/b"));
    expect(registry.add("key", claimant("ns/c"))).toEqual([]);
    expect(registry.winner("key")?.displayName).toBe("ns/b");
    expect(registry.add("key", claimant("ns/a"))).toEqual([claimant("ns/b"), claimant("ns/c")]);
    expect(registry.winner("key")?.displayName).toBe("ns/a");
  });

  test("gives an address to the Service whose ClusterIP it is, whoever else names it", () => {
    const registry = new ClaimRegistry();
    registry.add("key", claimant("aa/thief"));
    expect(registry.add("key", claimant("ns/web", true))).toEqual([claimant("aa/thief")]);
    expect(registry.winner("key")?.displayName).toBe("ns/web");
  });

  test("gives a key to the next when the winner lets go", () => {
    const registry = new ClaimRegistry();
    registry.add("key", claimant("ns/a"));
    registry.add("key", claimant("ns/b"));
    expect(registry.remove("key", "ns/a")).toEqual([claimant("ns/b")]);
    expect(registry.winner("key")?.displayName).toBe("ns/b");
    expect(registry.remove("key", "ns/b")).toEqual([]);
    expect(registry.winner("key")).toBeUndefined();
  });

  test("takes a repeated claim once and a withdrawal of nothing in its stride", () => {
    const registry = new ClaimRegistry();
    registry.add("key", claimant("ns/a"));
    expect(registry.add("key", claimant("ns/a"))).toEqual([]);
    expect(registry.remove("key", "ns/b")).toEqual([]);
    expect(registry.remove("other", "ns/a")).toEqual([]);
    expect(registry.remove("key", "ns/a")).toEqual([]);
    expect(registry.winner("key")).toBeUndefined();
  });

  test("has the same winner whatever the order of claims and withdrawals", () => {
    const step = fc.record({ adds: fc.boolean(), name: fc.constantFrom("ns/a", "ns/b", "ns/b:x", "ns/b-c") });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12, size: "max" }), (steps) => {
        const registry = new ClaimRegistry();
        const held = new Set<string>();
        for (const { adds, name } of steps) {
          const before = registry.winner("key")?.displayName;
          const told = adds ? registry.add("key", claimant(name)) : registry.remove("key", name);
          held.delete(name);
          const others = [...held].sort();
          if (adds) {
            held.add(name);
          }
          const changed = [...held].sort()[0] !== before;
          expect(told.map(({ displayName }) => displayName)).toEqual(changed ? others : []);
        }
        expect(registry.winner("key")?.displayName).toBe([...held].sort()[0]);
      }),
    );
  });
});
