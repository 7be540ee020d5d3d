/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { address } from "../proxier/testing.ts";
import { noTables, type ServiceTables, type WantedServer } from "./service-tables.ts";
import { addressKey, serverKey, thingOf, WantedState } from "./wanted-state.ts";

function server(rank: number): WantedServer {
  return {
    name: "TCP 192.168.0.2:80",
    server: { protocol: "TCP", address: "192.168.0.2", port: 80, scheduler: "rr" },
    protocol: "TCP",
    realServers: [],
    addresses: [],
    rank,
  };
}

const key = serverKey("TCP 192.168.0.2:80");
const bound: ServiceTables = { ...noTables, addresses: [address("10.96.0.10"), address("10.96.0.10")] };

describe("WantedState.fold()", () => {
  test("names what nobody wants any more, once the last one has given it up", () => {
    const wanted = new WantedState();
    expect(wanted.fold("ns/a", bound)).toEqual({ abandoned: [], heirs: [] });
    wanted.fold("ns/b", bound);
    expect(wanted.ownersOf(addressKey("10.96.0.10"))).toEqual(["ns/a", "ns/b"]);
    expect(wanted.fold("ns/a", noTables).abandoned).toEqual([]);
    expect(wanted.has(addressKey("10.96.0.10"))).toBe(true);
    expect(wanted.fold("ns/b", noTables).abandoned).toEqual([addressKey("10.96.0.10")]);
    expect(wanted.has(addressKey("10.96.0.10"))).toBe(false);
    expect([...wanted.owners()]).toEqual([]);
  });

  test("gives a server to the lower rank, then to the first by name, whatever the order", () => {
    for (const order of [
      ["ns/a", "ns/b", "ns/c"],
      ["ns/c", "ns/b", "ns/a"],
    ]) {
      const wanted = new WantedState();
      for (const owner of order) {
        wanted.fold(owner, { ...noTables, servers: [server(owner === "ns/a" ? 1 : 0)] });
      }
      expect(wanted.ownersOf(key)).toEqual(["ns/b", "ns/c", "ns/a"]);
      expect(wanted.isHeldBy(key, "ns/b")).toBe(true);
      expect(wanted.isHeldBy(key, "ns/a")).toBe(false);
    }
  });

  test("names the heir of the one that had it, and nobody when another one gives up", () => {
    const wanted = new WantedState();
    for (const owner of ["ns/a", "ns/b", "ns/c"]) {
      wanted.fold(owner, { ...noTables, servers: [server(0)] });
    }
    expect(wanted.fold("ns/c", noTables)).toEqual({ abandoned: [], heirs: [] });
    expect(wanted.fold("ns/a", noTables)).toEqual({ abandoned: [], heirs: ["ns/b"] });
    expect(wanted.isHeldBy(key, "ns/b")).toBe(true);
  });
});

describe("thingOf()", () => {
  test("reads every kind of key", () => {
    expect(thingOf("server FWM 7 IPv6")).toEqual({ kind: "server", name: "FWM 7 IPv6" });
    expect(thingOf("entry clusterIP 10.96.0.10,tcp:80")).toEqual({
      kind: "entry",
      role: "clusterIP",
      text: "10.96.0.10,tcp:80",
    });
    expect(thingOf("address fd00::1")).toEqual({ kind: "address", address: "fd00::1" });
    expect(() => thingOf("nonsense")).toThrow(RangeError);
  });
});
