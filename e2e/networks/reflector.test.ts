/**
 * Iptables mode beside Calico with BGP and a route reflector: three nodes, of which the second and the third know each
 * other's pods from the first alone.
 *
 * @module
 */
import { test } from "vitest";
import { describeOnKernel } from "../harness/requirements.ts";
import { matrix } from "./matrix.ts";
import { reflectorRow } from "./rows.ts";

const needs = {
  programs: ["iptables-nft", "iptables-legacy", "conntrack", "ss"],
  plugins: ["host-local"],
  unpacked: ["bird"],
};

describeOnKernel("iptables mode beside BGP with a route reflector", needs, () => {
  const { prepare, tests } = matrix(["nft", "legacy", "nft"], [reflectorRow], { events: () => ["move"] });
  prepare();
  for (const [title, work] of Object.entries(tests)) test(title, work);
});
