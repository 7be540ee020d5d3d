/**
 * Iptables mode in both variants beside every pod network that the machine's kernel can do: one node has the one, one
 * the other.
 *
 * @module
 */
import { test } from "vitest";
import { describeOnKernel } from "../harness/requirements.ts";
import { matrix } from "./matrix.ts";
import { rows, traps } from "./rows.ts";

const needs = {
  programs: ["iptables-nft", "iptables-legacy", "bridge", "conntrack", "dnsmasq", "ss"],
  plugins: ["bridge", "host-local", "portmap"],
  unpacked: ["bird"],
};

describeOnKernel("iptables mode beside every pod network", needs, () => {
  const { prepare, tests } = matrix(["nft", "legacy"], rows, { traps });
  prepare();
  for (const [title, work] of Object.entries(tests)) test(title, work);
});
