/**
 * Bridges, routes, and the pod networks that they tell of.
 *
 * @module
 */
import { endianness } from "node:os";
import { describe, expect, test } from "vitest";
import type { Facts, LinkFact } from "./facts.ts";
import { known } from "./finding.ts";
import { readBridges, readRoutes } from "./network-facts.ts";
import { podNetworkFindings, podNetworkKinds } from "./pod-network-findings.ts";
import { cidrOf, healthyNode, link, route } from "./testing.ts";
import { fakeFiles } from "./testing-files.ts";

test.skipIf(endianness() !== "LE")("readRoutes() reads /proc/net/route", () => {
  const text = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
    "cni0\t0001F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
    "",
  ].join("\n");
  expect(readRoutes(fakeFiles({ texts: { "/proc/net/route": text } }))).toEqual(
    known([route("0.0.0.0/0", "eth0", "192.0.2.1"), route("10.244.1.0/24", "cni0")]),
  );
});

test("readBridges() reads hairpin mode of each port, and which bridges are promiscuous", () => {
  const texts = {
    "/sys/class/net/eth0/flags": "0x1003\n",
    "/sys/class/net/cni0/flags": "0x1103\n",
    "/sys/class/net/cni0/brif/veth1/port_no": "0x1\n",
    "/sys/class/net/veth1/brport/hairpin_mode": "1\n",
  };
  expect(readBridges(fakeFiles({ texts }))).toEqual(
    known({ ports: [{ bridge: "cni0", port: "veth1", hairpin: true }], promiscuous: ["cni0"] }),
  );
});

describe("the MTU of a tunnel", () => {
  const pod = (mtu: number): LinkFact => link("cali0123456789a", "veth", [], { mtu });
  const tunl0 = link("tunl0", "ipip", [], { mtu: 1480 });
  const through = route("10.244.3.0/24", "tunl0", "198.51.100.13");
  const flannel0 = (mtu: number): LinkFact => link("flannel0", "tun", [], { mtu });
  const cases = [
    ["what Calico's pods may send fits", "ok", [tunl0, pod(1480)], [through]],
    ["what Calico's pods may send is too large for IPIP", "warning", [tunl0, pod(1500)], [through]],
    ["flannel's UDP packets fit", "ok", [flannel0(1472)], []],
    ["flannel's UDP packets are too large", "error", [flannel0(1500)], []],
  ] as const;

  test.each(cases)("%s: %s", (_, level, links, routes) => {
    const facts: Facts = {
      ...healthyNode,
      links: known([link("eth0", "", ["192.0.2.11/24"]), ...links]),
      routes: known([route("0.0.0.0/0", "eth0", "192.0.2.1"), ...routes]),
    };
    const found = podNetworkFindings(facts).filter(({ id }) => id === "tunnel-mtu");
    expect(found.map((one) => one.level)).toEqual([level]);
  });
});

describe("podNetworkKinds()", () => {
  const eth0 = link("eth0", "");
  const home = route("0.0.0.0/0", "eth0", "192.0.2.1");
  const away = route("10.244.2.0/24", "eth0", "192.0.2.12");
  const cases = [
    ["flannel VXLAN", [link("flannel.1", "vxlan"), link("cni0", "bridge")], []],
    ["bridge with routes between nodes (flannel host-gw)", [link("cni0", "bridge")], [away]],
    ["bridge", [link("cni0", "bridge")], []],
    ["bridge", [link("mine", "bridge", ["10.244.1.1/24"])], []],
    ["Docker's bridge", [link("docker0", "bridge", ["10.244.1.1/24"])], []],
    ["Calico", [link("cali0123456789a", "veth")], [away]],
    ["Calico (VXLAN)", [link("cali0123456789a", "veth"), link("vxlan.calico", "vxlan")], []],
    [
      "Calico (IPIP)",
      [link("cali0123456789a", "veth"), link("tunl0", "ipip")],
      [route("10.244.2.0/24", "tunl0", "192.0.2.12")],
    ],
    [
      "Calico (IPIP between subnets)",
      [link("cali0123456789a", "veth"), link("tunl0", "ipip")],
      [away, route("10.244.3.0/24", "tunl0", "198.51.100.13")],
    ],
    [
      "Calico (VXLAN between subnets)",
      [link("cali0123456789a", "veth"), link("vxlan.calico", "vxlan")],
      [away, route("10.244.3.0/24", "vxlan.calico", "10.244.3.0")],
    ],
    // A route that has nothing to do with pods.
    [
      "Calico (IPIP)",
      [link("cali0123456789a", "veth"), link("tunl0", "ipip")],
      [route("10.0.0.0/9", "eth0", "192.0.2.1"), route("10.244.2.0/24", "tunl0", "192.0.2.12")],
    ],
    ["flannel UDP", [link("flannel0", "tun"), link("cni0", "bridge")], [route("10.244.2.0/24", "flannel0")]],
    ["IPIP", [link("tunl0", "ipip")], [route("10.244.2.0/24", "tunl0", "192.0.2.12")]],
    ["a link to each pod (ptp)", [link("veth0a", "veth")], [route("10.244.1.2/32", "veth0a")]],
  ] as const;

  test.each(cases)("recognises %s", (kind, links, routes) => {
    expect(podNetworkKinds([eth0, ...links], [home, ...routes], [cidrOf("10.244.0.0/16")])).toEqual([kind]);
  });

  test("takes no bridge of others for one of pods", () => {
    const docker = link("docker0", "bridge", ["172.17.0.1/16"]);
    expect(podNetworkKinds([eth0, docker], [home], [cidrOf("10.244.0.0/16")])).toEqual([]);
  });

  test("takes the tunl0 that every namespace has for nothing", () => {
    expect(podNetworkKinds([eth0, link("tunl0", "ipip", [], { up: false })], [home], [])).toEqual([]);
  });
});
