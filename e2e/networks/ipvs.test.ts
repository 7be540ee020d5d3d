/**
 * Ipvs mode beside pod networks, on a second kernel, which has a fraction of a processor: every path and affinity.
 *
 * @module
 */
import { describeInGuest } from "../ipvs/guest.ts";
import { matrix } from "./matrix.ts";
import { rows } from "./rows.ts";

const names = ["docker", "host-gw", "vxlan", "calico"];

describeInGuest({
  name: "ipvs mode beside pod networks",
  file: import.meta.url,
  seconds: 400,
  programs: ["ipvsadm", "ipset", "bridge"],
  ...matrix(
    ["ipvs"],
    rows.filter(({ network }) => names.includes(network.name)),
    { eventful: [] },
  ),
});
