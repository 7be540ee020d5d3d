/**
 * Clusters of many Services, whose addresses and node ports lie close together and far apart, and packets that are meant
 * for them or miss them by a digit.
 *
 * @module
 */
import fc from "fast-check";
import { parseAddress } from "../../src/proxier/address.ts";
import type { Family } from "../model/address.ts";
import type { Cluster, Packet, Protocol } from "../model/cluster.ts";
import type { Edit } from "../model/edits.ts";
import type { EndpointSliceObject, ServiceObject } from "../model/objects.ts";

/** Many Services that come in two halves, some of which then go. */
export interface Crowd {
  readonly start: Pick<Cluster, "node" | "config">;
  readonly steps: readonly (readonly Edit[])[];
  readonly choices: readonly CrowdPacketChoice[];
}

/** A packet before it is known in which crowd. */
export interface CrowdPacketChoice {
  readonly sourceIndex: number;
  readonly target: number;
  /** Which digit of the destination address or port is another one; undefined for none. */
  readonly digit:
    | { readonly of: "address" | "port"; readonly index: number; readonly value: number }
    | undefined;
}

/** Networks that share from none to nearly all of their digits, as the first groups of an address. */
const NETWORKS: { readonly [F in Family]: readonly string[] } = {
  IPv4: ["10.96.0.", "10.96.1.", "10.96.16.", "10.111.0.", "172.30.0.", "203.0.113."],
  IPv6: ["fd00:96::", "fd00:96::1:", "fd00:96:0:1::", "fd00:97::", "2001:db8::"],
};
/** Where node ports gather: a few digits in common, or one. */
const NODE_PORT_BASES: readonly number[] = [30_000, 30_208, 30_464, 32_000];

const NODE: Cluster["node"] = {
  name: "node-a",
  zone: "",
  ips: { IPv4: "192.168.0.2", IPv6: "2001:db8:99::2" },
  localIPs: ["127.0.0.1", "::1", "192.168.0.2", "2001:db8:99::2"],
};

const SOURCES: { readonly [F in Family]: readonly Pick<Packet, "sourceIP" | "inputInterface">[] } = {
  IPv4: [
    { sourceIP: "10.244.0.9", inputInterface: "cni0" },
    { sourceIP: "198.51.100.7", inputInterface: "eth0" },
    { sourceIP: "192.168.0.2" },
  ],
  IPv6: [
    { sourceIP: "fd00:244::9", inputInterface: "cni0" },
    { sourceIP: "2001:db8:ffff::7", inputInterface: "eth0" },
    { sourceIP: "2001:db8:99::2" },
  ],
};

function startOf(ipFamily: Family): Crowd["start"] {
  return {
    node: NODE,
    config: {
      ipFamily,
      detectLocalMode: "ClusterCIDR",
      clusterCIDRs: ["10.244.0.0/16", "fd00:244::/32"],
      nodePortAddresses: [],
      localhostNodePorts: true,
      masqueradeAll: false,
      masqueradeBit: 14,
      serviceCIDRs: [],
    },
  };
}

function anyAddress(family: Family): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...NETWORKS[family]), fc.nat(255))
    .map(([network, host]) => network + (family === "IPv4" ? String(host) : host.toString(16)));
}

const anyNodePort = fc
  .tuple(fc.constantFrom(...NODE_PORT_BASES), fc.nat(40))
  .map(([base, offset]) => base + offset);

/** A Service and its slice, under the name of its number. */
function memberEdits(family: Family): fc.Arbitrary<(number: number) => readonly Edit[]> {
  return fc
    .record({
      clusterIP: anyAddress(family),
      protocol: fc.constantFrom<Protocol>("TCP", "TCP", "UDP"),
      nodePort: anyNodePort,
      externalIPs: fc.array(anyAddress(family), { maxLength: 2 }),
      vips: fc.array(anyAddress(family), { maxLength: 1 }),
      isGuarded: fc.boolean(),
      policy: fc.constantFrom("Cluster", "Local"),
      healthCheckNodePort: anyNodePort,
      endpoints: fc.constantFrom<readonly string[]>([], ["node-a"], ["node-b"], ["node-a", "node-b"]),
    })
    .map((member) => (number) => {
      const name = `s${number}`;
      const service: ServiceObject = {
        metadata: { namespace: "ns", name },
        spec: {
          type: "LoadBalancer",
          clusterIP: member.clusterIP,
          ports: [{ name: "http", protocol: member.protocol, port: 80, nodePort: member.nodePort }],
          externalIPs: member.externalIPs,
          externalTrafficPolicy: member.policy,
          internalTrafficPolicy: member.policy,
          healthCheckNodePort: member.healthCheckNodePort,
          loadBalancerSourceRanges: member.isGuarded ? ["198.51.100.0/24", "2001:db8:ffff::/48"] : [],
        },
        status: { loadBalancer: { ingress: member.vips.map((ip) => ({ ip })) } },
      };
      const slice: EndpointSliceObject = {
        metadata: { namespace: "ns", name, labels: { "kubernetes.io/service-name": name } },
        addressType: family,
        ports: [{ name: "http", protocol: member.protocol, port: 8080 }],
        endpoints: member.endpoints.map((nodeName, index) => ({
          addresses: [family === "IPv4" ? `10.244.${index}.${number}` : `fd00:244::${index}:${number}`],
          nodeName,
        })),
      };
      return [
        { kind: "upsertService", service },
        { kind: "upsertSlice", slice },
      ];
    });
}

const anyDigit = fc.option(
  fc.record({ of: fc.constantFrom("address", "port"), index: fc.nat(31), value: fc.nat(15) }),
  { nil: undefined },
);

/** Any crowd of 20 to 120 Services. */
export const crowds: fc.Arbitrary<Crowd> = fc.constantFrom<Family[]>("IPv4", "IPv6").chain((family) =>
  fc
    .record({
      members: fc.array(memberEdits(family), { minLength: 20, maxLength: 120, size: "max" }),
      going: fc.array(fc.nat(119), { maxLength: 100, size: "max" }),
      choices: fc.array(fc.record({ sourceIndex: fc.nat(2), target: fc.nat(9_999), digit: anyDigit }), {
        minLength: 60,
        maxLength: 60,
      }),
    })
    .map(({ members, going, choices }) => {
      const half = members.length >> 1;
      const come = members.map((member, index) => member(index));
      const go = [...new Set(going)].map(
        (number) => ({ kind: "deleteService", key: { namespace: "ns", name: `s${number}` } }) as const,
      );
      return {
        start: startOf(family),
        steps: [come.slice(0, half).flat(), come.slice(half).flat(), go],
        choices,
      };
    }),
);

/** The packet of a choice. */
export function crowdPacketIn(cluster: Cluster, { sourceIndex, target, digit }: CrowdPacketChoice): Packet {
  const { ipFamily } = cluster.config;
  const targets = targetsOf(cluster);
  const { destIP, destPort, protocol } = targets[target % Math.max(1, targets.length)] ?? {
    destIP: NODE.ips[ipFamily] ?? "",
    destPort: 80,
    protocol: "TCP",
  };
  const source = SOURCES[ipFamily][sourceIndex] ?? { sourceIP: "" };
  return {
    ...source,
    destIP: digit?.of === "address" ? withDigit(destIP, digit.index, digit.value) : destIP,
    destPort: digit?.of === "port" ? withPortDigit(destPort, digit.index % 4, digit.value) : destPort,
    protocol,
  };
}

type Target = Pick<Packet, "destIP" | "destPort" | "protocol">;

function targetsOf({ services, config }: Cluster): readonly Target[] {
  const node = NODE.ips[config.ipFamily] ?? "";
  return services.flatMap(({ spec, status }) => {
    const [port] = spec?.ports ?? [];
    const protocol = (port?.protocol ?? "TCP") as Protocol;
    const vips = (status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip ?? "");
    const addresses = [spec?.clusterIP ?? "", ...(spec?.externalIPs ?? []), ...vips];
    return [
      ...addresses.map((destIP) => ({ destIP, destPort: 80, protocol })),
      { destIP: node, destPort: port?.nodePort ?? 0, protocol },
      { destIP: node, destPort: spec?.healthCheckNodePort ?? 0, protocol: "TCP" as const },
    ];
  });
}

/** The address with one of its hexadecimal digits replaced. */
function withDigit(address: string, index: number, value: number): string {
  const isIPv6 = address.includes(":");
  const digits = isIPv6
    ? expandIPv6(address)
    : address
        .split(".")
        .map((octet) => hex(Number(octet), 2))
        .join("");
  const at = index % digits.length;
  const changed = digits.slice(0, at) + hex(value, 1) + digits.slice(at + 1);
  const text = isIPv6
    ? (changed.match(/.{4}/g) ?? []).join(":")
    : (changed.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)).join(".");
  return parseAddress(text) ?? address;
}

function withPortDigit(port: number, index: number, value: number): number {
  const digits = hex(port, 4);
  // 0 is no port.
  return Number.parseInt(digits.slice(0, index) + hex(value, 1) + digits.slice(index + 1), 16) || 1;
}

function expandIPv6(address: string): string {
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string): readonly string[] => (text === "" ? [] : text.split(":"));
  const [left, right] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return [...left, ...zeros, ...right].map((group) => group.padStart(4, "0")).join("");
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, "0");
}
