/**
 * The fake IPVS keeps the contract that the kernel keeps (`e2e/ipvs-netlink.test.ts` runs the same suite there).
 *
 * @module
 */
import { describe, test } from "vitest";
import { FakeIpvs } from "./testing.ts";
import { ipvsContract, type KernelUnderTest, keepContract } from "./testing-contract.ts";

const fake = new FakeIpvs();

const kernel: KernelUnderTest = {
  open: () => fake.open(),
  connect: async (to) => {
    const connection = fake.connect(to);
    return connection && { close: async () => connection.close() };
  },
};

describe("fake IPVS", () => {
  test.each(ipvsContract)("$name", (contractCase) => keepContract(kernel, contractCase));
});
