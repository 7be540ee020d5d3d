/**
 * @module
 */
import { expect, test } from "vitest";
import { ClusterAddresses, type ServiceAddresses } from "./cluster-addresses.ts";
import { address } from "./testing.ts";

const [vip, other] = [address("10.96.0.1"), address("203.0.113.1")];
const nothing: ServiceAddresses = { clusterIPs: [], external: [] };

test("tells who is affected when an address becomes a ClusterIP, and when it is one no more", () => {
  const addresses = new ClusterAddresses();
  const external: ServiceAddresses = { clusterIPs: [], external: [vip, other] };
  const owner: ServiceAddresses = { clusterIPs: [vip], external: [] };
  expect(addresses.replace("ns/thief", nothing, external)).toEqual([]);
  expect(addresses.replace("ns/thief2", nothing, external)).toEqual([]);
  expect(addresses.owner(vip)).toBeUndefined();
  expect(addresses.replace("ns/web", nothing, owner)).toEqual(["ns/thief", "ns/thief2"]);
  expect(addresses.owner(vip)).toBe("ns/web");
  expect(addresses.replace("ns/web", owner, owner)).toEqual([]);
  expect(addresses.replace("ns/thief2", external, nothing)).toEqual([]);
  expect(addresses.replace("ns/web", owner, nothing)).toEqual(["ns/thief"]);
  expect(addresses.owner(vip)).toBeUndefined();
});

test("an address that two Services have for a ClusterIP stays one until both are gone", () => {
  const addresses = new ClusterAddresses();
  const owner: ServiceAddresses = { clusterIPs: [vip], external: [] };
  for (const service of ["ns/c", "ns/a", "ns/b"]) {
    addresses.replace(service, nothing, owner);
  }
  expect(addresses.owner(vip)).toBe("ns/a");
  addresses.replace("ns/a", owner, nothing);
  addresses.replace("ns/b", owner, nothing);
  expect(addresses.owner(vip)).toBe("ns/c");
  addresses.replace("ns/c", owner, nothing);
  expect(addresses.owner(vip)).toBeUndefined();
});
