/**
 * What a case of the IPVS contract is, and what cases share.
 *
 * @module
 */
import type { NetlinkConnection } from "../../netlink/connection.ts";
import { isKernelError, type KernelErrorCode } from "../../netlink/kernel-error.ts";
import { IpvsClient } from "./client.ts";
import type { ObservedRealServer, RealServer } from "./real-server.ts";
import { addRealServerRequest, addVirtualServerRequest } from "./requests.ts";
import type { TableEntry } from "./table-entry.ts";
import type { AddressKey, VirtualServer } from "./virtual-server.ts";

/** A connection of a client through a virtual server. */
export interface ClientConnection {
  /** Ends it, and returns when the kernel has seen that. */
  close(): Promise<void>;
}

/** A kernel, with a network in which `webReals` listen at TCP. */
export interface KernelUnderTest {
  open(): NetlinkConnection;
  /** The table as text, as in /proc/net/ip_vs. */
  table(): string;
  /** Schedulers that it has no module for. */
  readonly absentSchedulers: readonly string[];
  /** Connects to an address and port; undefined if the connection is refused. */
  connect(to: AddressKey): Promise<ClientConnection | undefined>;
}

/** One thing that holds. The table is empty before it, and is emptied after it. */
export interface IpvsContractCase {
  readonly name: string;
  readonly run: (client: IpvsClient, kernel: KernelUnderTest) => void | Promise<void>;
}

/** A virtual server that clients can reach. */
export const web: AddressKey & VirtualServer = {
  protocol: "TCP",
  address: "198.51.100.10",
  port: 80,
  scheduler: "lc",
};

/** Real servers that listen, for {@link web}. */
export const webReals: readonly [RealServer, RealServer] = [
  { address: "198.51.100.21", port: 8080, forwarding: "masquerade", weight: 1 },
  { address: "198.51.100.22", port: 8080, forwarding: "masquerade", weight: 1 },
];

/** Runs one case, on a connection of its own. */
export async function keepContract(kernel: KernelUnderTest, { run }: IpvsContractCase): Promise<void> {
  using client = new IpvsClient(kernel.open());
  try {
    await run(client, kernel);
  } finally {
    // Not by the same client: a case may have made it useless.
    using cleaner = new IpvsClient(kernel.open());
    cleaner.flush();
  }
}

/** Builds a table in one go. */
export async function build(client: IpvsClient, table: readonly TableEntry[]): Promise<void> {
  const requests = table.flatMap(({ server, realServers }) => [
    addVirtualServerRequest(client.family, server),
    ...realServers.map((one) => addRealServerRequest(client.family, server, one)),
  ]);
  await client.transactEach(requests, ({ error }) => {
    if (error !== undefined) throw error;
  });
}

/** A real server as it is reported when nobody has used it. */
export function unused(server: RealServer): ObservedRealServer {
  return { ...server, activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };
}

/** Code and message of the kernel's refusal. */
export function failure(change: () => void): readonly [KernelErrorCode | undefined, string?] {
  try {
    change();
    return [undefined];
  } catch (error) {
    if (!isKernelError(error)) throw error;
    return [error.code, error.message];
  }
}
