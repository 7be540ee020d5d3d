/**
 * Names of Services and pods for a table, from the objects of the API.
 *
 * Pure. What the kernel itself says (comments of rules) goes first; IPVS says nothing.
 *
 * @module
 */
import { ipBytes, ipText } from "../netlink/ip-address.ts";
import type { EndpointSliceObject, ServiceObject } from "../proxier/objects.ts";
import {
  type FrontendKind,
  type RealServerRow,
  rowsFrom,
  type ServiceName,
  type ServiceTable,
  type VirtualServerRow,
} from "./service-table.ts";

interface Named {
  readonly service: ServiceName;
  readonly kind: FrontendKind;
}

/** What the objects of a cluster are called, by what the kernel knows them by. */
export class ServiceNames {
  /** By protocol, address and port. */
  readonly #addresses = new Map<string, Named>();
  /** By protocol and port. */
  readonly #nodePorts = new Map<string, Named>();
  /** Names of pods by Service and address: pods on the node's network share one. */
  readonly #pods = new Map<string, string>();

  /** Takes a Service in. */
  addService({ namespace, name, ports, ...service }: ServiceObject): void {
    const clusterIPs = service.clusterIPs.length === 0 ? [service.clusterIP] : service.clusterIPs;
    const addresses: readonly (readonly [FrontendKind, readonly string[]])[] = [
      ["ClusterIP", clusterIPs],
      ["ExternalIP", service.externalIPs],
      ["LoadBalancer", service.loadBalancerIngress.map(({ ip }) => ip)],
    ];
    for (const { name: port, protocol, port: number, nodePort } of ports) {
      const named = { namespace, name, port };
      for (const [kind, list] of addresses) {
        for (const text of list) {
          const address = canonical(text);
          if (address === undefined) continue;
          const key = `${protocol} ${address} ${number}`;
          if (!this.#addresses.has(key)) this.#addresses.set(key, { service: named, kind });
        }
      }
      if (nodePort !== 0)
        this.#nodePorts.set(`${protocol} ${nodePort}`, { service: named, kind: "NodePort" });
    }
  }

  /** Takes an EndpointSlice in that was read with the names of pods. */
  addSlice({ namespace, serviceName, endpoints }: EndpointSliceObject): void {
    for (const { address: text, pod } of endpoints) {
      const address = canonical(text ?? "");
      if (address === undefined || pod === undefined) continue;
      this.#pods.set(`${namespace}/${serviceName} ${address}`, `${namespace}/${pod}`);
    }
  }

  /** The table with the names that are known. */
  name(table: ServiceTable): ServiceTable {
    return { ...table, virtualServers: rowsFrom(table.virtualServers, (row) => this.nameRow(row)) };
  }

  /** A virtual server and its real servers with the names that are known. */
  nameRow(row: VirtualServerRow): VirtualServerRow {
    const found = "firewallMark" in row ? undefined : this.#find(row.protocol, row.address, row.port);
    const service = row.service ?? found?.service;
    const kind = row.kind ?? found?.kind;
    if (service === undefined) return row;
    const realServers = row.realServers.map((server) => this.#nameServer(server, service));
    return { ...row, service, ...(kind === undefined ? {} : { kind }), realServers };
  }

  #find(protocol: string, address: string, port: number): Named | undefined {
    return (
      this.#addresses.get(`${protocol} ${address} ${port}`) ?? this.#nodePorts.get(`${protocol} ${port}`)
    );
  }

  #nameServer(server: RealServerRow, { namespace, name }: ServiceName): RealServerRow {
    const pod = this.#pods.get(`${namespace}/${name} ${server.address}`);
    return pod === undefined ? server : { ...server, pod };
  }
}

/** Text of objects is as somebody wrote it; text of the kernel is canonical. */
function canonical(text: string): string | undefined {
  if (text === "" || text === "None") return undefined;
  try {
    return ipText(ipBytes(text));
  } catch {
    return undefined;
  }
}
