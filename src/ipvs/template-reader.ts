/**
 * From the persistence templates of IPVS to the clients that the Plan's Services remember.
 *
 * Pure. Templates stand among the connections and have no client port; those by firewall mark are left out, since nearly
 * every client has one by address as well.
 *
 * @module
 */
import type { RememberedClient } from "../affinity/remembered-client.ts";
import { parseIpvsConnection } from "../inspect/ipvs-connections.ts";
import { parseAddress } from "../proxier/address.ts";
import type { Plan, ServicePortPlan } from "../proxier/plan.ts";

interface Place {
  readonly service: string;
  readonly port: ServicePortPlan;
}

/** Takes the lines of the kernel's list, one at a time. */
export class TemplateReader {
  readonly #family: Plan["node"]["family"];
  /** By `PROTOCOL address port`, or `PROTOCOL port` for node ports. */
  readonly #places = new Map<string, Place>();
  readonly #found = new Map<string, RememberedClient>();

  constructor({ node, services }: Plan) {
    this.#family = node.family;
    for (const { key, ports } of services.values()) {
      for (const port of ports.filter(({ affinity }) => affinity !== undefined)) {
        for (const { address, port: number } of port.frontends) {
          const at = address === undefined ? "" : ` ${address}`;
          this.#places.set(`${port.protocol}${at} ${number}`, { service: key, port });
        }
      }
    }
  }

  /** Whether nobody could be remembered. */
  get isIdle(): boolean {
    return this.#places.size === 0;
  }

  take(line: string): void {
    const row = parseIpvsConnection(line);
    if (row === undefined || row.source.port !== 0 || row.family !== this.#family) {
      return;
    }
    const { protocol, source, virtual, destination, expiresSeconds } = row;
    const place =
      this.#places.get(`${protocol} ${virtual.address} ${virtual.port}`) ??
      this.#places.get(`${protocol} ${virtual.port}`);
    const client = parseAddress(source.address);
    if (place === undefined || client === undefined) {
      return;
    }
    const { service, port } = place;
    const ip = destination.address.includes(":") ? `[${destination.address}]` : destination.address;
    const key = `${port.displayName} ${port.protocol} ${client}`;
    if ((this.#found.get(key)?.secondsLeft ?? -1) < expiresSeconds) {
      const target = `${ip}:${destination.port}`;
      const names = { service, port: port.displayName, protocol: port.protocol };
      this.#found.set(key, { ...names, target, client, secondsLeft: expiresSeconds });
    }
  }

  /** All clients so far. */
  clients(): readonly RememberedClient[] {
    return [...this.#found.values()];
  }
}
