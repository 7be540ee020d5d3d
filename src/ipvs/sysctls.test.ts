/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { ipvsSysctls, type KernelVersion, parseKernelVersion } from "./sysctls.ts";

test.each([
  ["6.1.0-18-amd64", [6, 1]],
  ["5.9.0", [5, 9]],
  ["4.19", [4, 19]],
  ["Darwin", undefined],
  ["6", undefined],
])("parseKernelVersion() reads %j", (release, version) => {
  expect(parseKernelVersion(release)).toEqual(version);
});

describe("ipvsSysctls()", () => {
  const reuse = (version: KernelVersion | undefined): number | undefined =>
    ipvsSysctls(version, false).find(({ name }) => name === "net/ipv4/vs/conn_reuse_mode")?.value;

  test.each<[KernelVersion | undefined, number | undefined]>([
    [[3, 10], undefined],
    [[4, 0], undefined],
    [[4, 1], 0],
    [[5, 8], 0],
    [[5, 9], undefined],
    [[6, 1], undefined],
    [undefined, undefined],
  ])("sets conn_reuse_mode in kernel %j to %j", (version, value) => {
    expect(reuse(version)).toBe(value);
  });

  test("turns on connection tracking and the end of connections to what is gone", () => {
    expect(ipvsSysctls([6, 1], false)).toEqual([
      { name: "net/ipv4/vs/conntrack", value: 1 },
      { name: "net/ipv4/vs/expire_nodest_conn", value: 1 },
      { name: "net/ipv4/vs/expire_quiescent_template", value: 1 },
      { name: "net/ipv4/ip_forward", value: 1 },
    ]);
  });

  test("keeps the node from answering ARP when asked to", () => {
    const more = ipvsSysctls([6, 1], true).slice(ipvsSysctls([6, 1], false).length);
    expect(more).toEqual([
      { name: "net/ipv4/conf/all/arp_ignore", value: 1 },
      { name: "net/ipv4/conf/all/arp_announce", value: 2 },
    ]);
  });
});
