/**
 * The fake IPVS keeps the contract that the kernel keeps (`e2e/ipvs-netlink.test.ts` runs the same suite there).
 *
 * @module
 */
import { describe, expect, test } from "vitest";
import { IpvsClient } from "./client.ts";
import { FakeIpvs } from "./testing.ts";
import { ipvsContract } from "./testing-contract.ts";
import { type KernelUnderTest, keepContract, web, webReals } from "./testing-contract-case.ts";
import { schedulerNames } from "./virtual-server.ts";
import { commands } from "./wire.ts";

const absentSchedulers = ["twos"];
const fake = new FakeIpvs({ schedulers: schedulerNames.filter((name) => !absentSchedulers.includes(name)) });

const kernel: KernelUnderTest = {
  absentSchedulers,
  open: () => fake.open(),
  table: () => fake.table(),
  connect: async (to) => {
    const connection = fake.connect(to);
    return connection && { close: async () => connection.close() };
  },
};

describe("fake IPVS", () => {
  // Not `test.each`, which shortens names.
  for (const one of ipvsContract) test(one.name, () => keepContract(kernel, one));
});

test("FakeIpvs.connect() gives connections that a test can end and let expire", async () => {
  const own = new FakeIpvs();
  using client = new IpvsClient(own.open());
  const [real] = webReals;
  client.addVirtualServer(web);
  client.addRealServer(web, real);
  const load = async (): Promise<unknown> => {
    const [one] = await client.listRealServers(web);
    return [one?.activeConnections, one?.inactiveConnections];
  };
  const connection = own.connect(web);
  expect(connection?.realServer).toBe("198.51.100.21:8080");
  expect(await load()).toEqual([1, 0]);
  connection?.close();
  expect(await load()).toEqual([0, 1]);
  connection?.expire();
  expect(await load()).toEqual([0, 0]);
  expect(own.connect({ ...web, port: 81 })).toBeUndefined();
});

test("FakeIpvs answers by the kernel's numbers what no client of ours would send", () => {
  const own = new FakeIpvs();
  const { kernel } = own;
  const ask = (command: number, ...attributes: readonly number[]): unknown => {
    const payload = Uint8Array.of(command, 1, 0, 0, ...attributes);
    const [reply] = kernel({ type: 0x1c, flags: 0, payload, dump: false });
    return reply !== undefined && "errno" in reply ? reply.errno : reply;
  };
  const key = [0x10, 0, 1, 0, 6, 0, 1, 0, 2, 0, 0, 0, 4, 0, 99, 0];
  expect(ask(commands.newService)).toBe(22);
  expect(ask(commands.newService, ...key)).toBe(22);
  expect(ask(commands.getService, 0x0c, 0, 1, 0, 6, 0, 1, 0, 1, 0, 0, 0)).toBe(97);
  expect(ask(commands.getDestination, ...key)).toBe(95);
  expect(ask(commands.newDaemon)).toBe(22);
  expect(ask(99)).toBe(22);
});
