/**
 * @module
 */
import { describe, expect, test } from "vitest";
import type { RealServer } from "../ipvs/netlink/real-server.ts";
import type { VirtualServer } from "../ipvs/netlink/virtual-server.ts";
import { BalancerTable, shares } from "./balance.ts";
import type { PersistenceTemplate } from "./node-state.ts";

function real(address: string, weight: number): RealServer {
  return { address, port: 8080, weight, forwarding: "masquerade" };
}

const three = [real("10.244.1.1", 1), real("10.244.1.2", 3), real("10.244.1.3", 0)];

describe("shares()", () => {
  test.each([
    ["rr", [0.5, 0.5]],
    ["lc", [0.5, 0.5]],
    ["wrr", [0.25, 0.75]],
    ["sh", [0.25, 0.75]],
    ["unheard-of", [0.25, 0.75]],
  ])("of %s are %j, without the real server of weight 0", (scheduler, expected) => {
    expect(shares(scheduler, three).map(({ probability }) => probability)).toEqual(expected);
  });

  test("of fo are all of the one with the greatest weight", () => {
    expect(shares("fo", three)).toEqual([{ real: three[1], probability: 1 }]);
  });

  test("are none where every weight is 0", () => {
    expect(shares("rr", [real("10.244.1.1", 0)])).toEqual([]);
    expect(shares("fo", [])).toEqual([]);
  });
});

describe("BalancerTable", () => {
  const server: VirtualServer = { protocol: "TCP", address: "10.96.0.10", port: 80, scheduler: "rr" };
  const marked: VirtualServer = { firewallMark: 7, family: "IPv4", scheduler: "rr" };
  const entries = [
    { server: { ...server, persistence: { timeoutSeconds: 60 } }, realServers: three },
    { server: marked, realServers: [real("10.244.9.9", 1)] },
  ];
  const key = {
    mark: 0,
    source: "10.244.1.7",
    destination: "10.96.0.10",
    protocol: "tcp",
    destinationPort: 80,
  };
  const template: PersistenceTemplate = {
    server: "TCP 10.96.0.10:80",
    client: "10.244.1.7",
    target: "10.244.1.2:8080",
    secondsLeft: 30,
  };

  test("asks the mark before the destination", () => {
    const { balance } = new BalancerTable("IPv4", entries, []);
    expect(balance({ ...key, mark: 7 })?.targets).toEqual([{ to: "10.244.9.9:8080", probability: 1 }]);
    expect(balance({ ...key, mark: 8 })?.targets).toHaveLength(2);
    expect(balance({ ...key, destinationPort: 81 })).toBeUndefined();
    expect(balance({ ...key, protocol: "udp" })).toBeUndefined();
  });

  test("sends a client back to where it is bound, unless that takes nobody", () => {
    const { balance } = new BalancerTable("IPv4", entries, [template]);
    expect(balance(key)?.targets).toEqual([{ to: "10.244.1.2:8080", probability: 1 }]);
    expect(balance({ ...key, source: "10.244.1.8" })?.targets).toHaveLength(2);
    const gone = new BalancerTable("IPv4", entries, [{ ...template, target: "10.244.1.3:8080" }]);
    expect(gone.balance(key)?.targets).toHaveLength(2);
  });

  test("knows only its own family", () => {
    expect(new BalancerTable("IPv6", entries, []).balance(key)).toBeUndefined();
  });
});
