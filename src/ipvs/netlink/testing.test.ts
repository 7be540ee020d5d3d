/**
 * The fake IPVS keeps the contract that the kernel keeps (`e2e/ipvs-netlink.test.ts` runs the same suite there).
 *
 * @module
 */
import { FakeIpvs } from "./testing.ts";
import { testIpvsContract } from "./testing-contract.ts";

const fake = new FakeIpvs();

testIpvsContract("fake IPVS", {
  open: () => fake.open(),
  connect: async (to) => {
    const connection = fake.connect(to);
    return connection && { close: async () => connection.close() };
  },
});
