/**
 * Thousands of clients of one Service: datagrams from as many addresses, and where each of them was sent.
 *
 * Nobody answers. What a client was given is read from the node's connection tracking, which then forgets it, so that
 * the client's next packet is decided anew.
 *
 * @module
 */
import { closeSync } from "node:fs";
import type { Cluster, Node } from "../harness/cluster.ts";
import { AF_INET, bindSocket, openSocket, SOCK_DGRAM, sendDatagram, socketAddress } from "../harness/libc.ts";
import { forgetFlows, udpFlows } from "./flow-table.ts";

/** The addresses that {@link Crowd} sends from. */
export const crowdPrefix = "10.200.0.0/16";

/** A client address for each number from `first`. */
export function clients(count: number, first = 0): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const number = first + index;
    return `10.200.${number >> 8}.${number & 255}`;
  });
}

/** Where clients were sent: by client, `ip:port` of an endpoint. */
export type Placement = ReadonlyMap<string, string>;

/** Everybody who sends to one address of a Service through one node. */
export class Crowd {
  readonly #cluster: Cluster;
  readonly #node: Node;

  private constructor(cluster: Cluster, node: Node) {
    this.#cluster = cluster;
    this.#node = node;
  }

  /** Gives the client outside all addresses of {@link crowdPrefix}. */
  static async gather(cluster: Cluster, node: Node): Promise<Crowd> {
    await cluster.giveClientPrefix(crowdPrefix);
    return new Crowd(cluster, node);
  }

  /** One datagram of each client. @returns where they went */
  async send(from: readonly string[], port: number, ip: string = this.#node.ip): Promise<Placement> {
    const to = socketAddress(ip, port);
    const data = Buffer.from("?");
    await forgetFlows(this.#node);
    this.#cluster.client.namespace.enter(() => {
      for (const address of from) {
        const socket = openSocket(AF_INET, SOCK_DGRAM);
        try {
          bindSocket(socket, socketAddress(address, 0));
          const errno = sendDatagram(socket, data, to);
          if (errno !== 0) {
            throw new Error(`Cannot send from ${address}: errno ${errno}`);
          }
        } finally {
          closeSync(socket);
        }
      }
    });
    const flows = await udpFlows(this.#node);
    const ours = flows.filter(
      ({ destination, destinationPort }) => destination === ip && destinationPort === port,
    );
    const placement = new Map(ours.map(({ source, endpoint }) => [source, endpoint]));
    const missing = from.filter((address) => !placement.has(address));
    if (missing.length > 0) {
      throw new Error(
        `Cannot tell where ${missing.length} of ${from.length} clients went, ${missing[0]} among them`,
      );
    }
    return placement;
  }
}

/** The clients that are not where they were. */
export function moved(before: Placement, after: Placement): readonly string[] {
  return [...before].filter(([client, endpoint]) => after.get(client) !== endpoint).map(([client]) => client);
}
