/**
 * Ipvs mode beside pod networks, on a second kernel, which has a fraction of a processor: every path and affinity, and on
 * some replacements of endpoints and DNS pods, or a switch of the mode and back, with every path in iptables mode.
 *
 * @module
 */
import { describeInGuest } from "../ipvs/guest.ts";
import { matrix } from "./matrix.ts";
import { ipipRow, type Row, rows } from "./rows.ts";

const named = (...names: readonly string[]): readonly Row[] =>
  rows.filter(({ network }) => names.includes(network.name));

describeInGuest({
  name: "ipvs mode beside pod networks",
  file: import.meta.url,
  seconds: 600,
  programs: ["ipvsadm", "ipset", "bridge", "dnsmasq"],
  ...matrix(["ipvs"], [...named("docker", "host-gw", "vxlan", "calico"), ipipRow], {
    eventful: [],
    replaced: named("host-gw"),
    // IPIP has Calico's links and rules.
    switched: [...named("host-gw"), ipipRow],
  }),
});
