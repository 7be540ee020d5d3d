/**
 * Ipvs mode beside pod networks, on a second kernel, which has a fraction of a processor: every path and affinity on each,
 * and what happens on a node on those where it is likeliest to matter. `SLUICE_EVERY_EVENT=1` in the guest makes everything
 * happen on every network (README.md).
 *
 * @module
 */
import { describeInGuest } from "../ipvs/guest.ts";
import { type Event, everything, matrix } from "./matrix.ts";
import { crossSubnetRow, ipipRow, type Row, rows } from "./rows.ts";

const events: Readonly<Record<string, readonly Event[]>> = {
  docker: ["replacement", "restart"],
  "host-gw": ["host ports", "replacement", "DNS", "restart", "reboot", "switch"],
  vxlan: ["replacement", "restart"],
  calico: ["replacement", "restart", "switch"],
  bgp: ["restart", "move"],
  udp: ["replacement", "restart"],
  // IPIP has Calico's links and rules.
  ipip: ["restart"],
  "ipip-cross-subnet": ["doctor", "replacement", "restart", "switch"],
};

function eventsOf({ network }: Row): readonly Event[] {
  return process.env["SLUICE_EVERY_EVENT"] === undefined ? (events[network.name] ?? []) : everything;
}

describeInGuest({
  name: "ipvs mode beside pod networks",
  file: import.meta.url,
  seconds: 600,
  programs: ["ipvsadm", "ipset", "bridge", "dnsmasq"],
  ...matrix(["ipvs"], [...rows, ipipRow, crossSubnetRow], { events: eventsOf }),
});
