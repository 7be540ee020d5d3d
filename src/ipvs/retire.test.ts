/**
 * @module
 */
import { expect, test } from "vitest";
import { port, service, slice, slicePort } from "../proxier/testing.ts";
import { IpvsClient } from "./netlink/client.ts";
import { retireServers } from "./retire.ts";
import { FakeHost, FakeNode } from "./testing.ts";

test("retireServers() gives our real servers weight 0, names where datagrams came, and can be taken back", async () => {
  const host = new FakeHost();
  const node = new FakeNode({ host });
  using client = new IpvsClient(host.ipvs.open());
  const foreign = { protocol: "TCP", address: "192.168.0.2", port: 443, scheduler: "wlc" } as const;
  client.addVirtualServer(foreign);
  client.addRealServer(foreign, { address: "192.168.0.9", port: 443, weight: 1, forwarding: "masquerade" });
  node.cluster.put(
    service({ ports: [port({ name: "dns", protocol: "UDP", port: 53 })] }),
    slice(["10.244.1.1"], { ports: [slicePort({ name: "dns", protocol: "UDP", port: 53 })] }),
  );
  await node.sync();
  const before = await host.servers();
  const doors = { ipvs: client, sets: host.doors("IPv4").sets, route: host.doors("IPv4").route };
  expect(await retireServers(doors, [])).toEqual([{ family: "IPv4", address: "10.96.0.10", port: 53 }]);
  expect(await host.servers()).toBe(before.replace("10.244.1.1:53 1", "10.244.1.1:53 0"));
  expect(before).toContain("10.244.1.1:53 1");
  await node.sync("everything");
  expect(await host.servers()).toBe(before);
});
