/**
 * Iptables mode in both variants beside every pod network that the machine's kernel can do: one node has the one, one
 * the other.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { test } from "vitest";
import { describeOnKernel } from "../harness/requirements.ts";
import { matrix } from "./matrix.ts";
import { crossSubnetRow, ipipRow, rows, traps } from "./rows.ts";

const needs = {
  programs: ["iptables-nft", "iptables-legacy", "bridge", "conntrack", "dnsmasq", "ss"],
  plugins: ["bridge", "host-local", "portmap"],
  unpacked: ["bird"],
};

/**
 * Whether there is IPIP, and no tunl0 in a new namespace in front of its other links. CI's machines have no IPIP; the kernel
 * of e2e/qemu has.
 */
function hasIpip(): boolean {
  const fallback = "/proc/sys/net/core/fb_tunnels_only_for_init_net";
  return existsSync("/sys/module/ipip") && readFileSync(fallback, "utf8").trim() !== "0";
}

describeOnKernel("iptables mode beside every pod network", needs, () => {
  const { prepare, tests } = matrix(
    ["nft", "legacy"],
    [...rows, ...(hasIpip() ? [ipipRow, crossSubnetRow] : [])],
    { traps },
  );
  prepare();
  for (const [title, work] of Object.entries(tests)) test(title, work);
});
