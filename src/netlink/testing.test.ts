/**
 * The fake kernels keep the contract that the real one keeps (`e2e/netlink.test.ts` runs the same suites there).
 *
 * @module
 */
import { expect, test } from "vitest";
import { addAddressRequest } from "./address.ts";
import { fakeConnection, faultyKernel, hexBytes } from "./testing.ts";
import { FakeConntrack } from "./testing-conntrack.ts";
import { codeOf, connectionContract, routeContract, testContract } from "./testing-contract.ts";
import { conntrackContract } from "./testing-contract-conntrack.ts";
import { ipsetContract } from "./testing-contract-ipset.ts";
import { FakeIpset } from "./testing-ipset.ts";
import { FakeRoute } from "./testing-route.ts";

const route = new FakeRoute();
testContract("fake rtnetlink as any kernel", connectionContract, () => fakeConnection(route.kernel));
testContract("fake rtnetlink", routeContract, () => fakeConnection(route.kernel));

const ipset = new FakeIpset();
testContract("fake ipset", ipsetContract, () => fakeConnection(ipset.kernel));

for (const support of ["apply", "ignore", "refuse"] as const) {
  const { kernel } = new FakeConntrack([], support);
  testContract(`fake conntrack that would ${support} a filter`, conntrackContract, () =>
    fakeConnection(kernel),
  );
}

test("faultyKernel() fails the chosen requests and changes nothing", () => {
  const { kernel, addresses } = new FakeRoute();
  let count = 0;
  using connection = fakeConnection(faultyKernel(kernel, () => (count++ === 0 ? 16 : undefined)));
  const outcomes = connection.transact([addAddressRequest(1, "10.0.0.1"), addAddressRequest(1, "10.0.0.2")]);
  expect(outcomes.map(codeOf)).toEqual(["busy", "done"]);
  expect(addresses.map(({ address }) => address)).toEqual(["10.0.0.2"]);
});

test("hexBytes() refuses what is no hex", () => {
  expect(hexBytes("00 ff\n 10")).toEqual(Uint8Array.of(0, 255, 16));
  expect(() => hexBytes("0")).toThrow(RangeError);
  expect(() => hexBytes("zz")).toThrow(RangeError);
});
