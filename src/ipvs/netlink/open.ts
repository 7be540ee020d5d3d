/**
 * The way to the kernel's IPVS.
 *
 * Edge: the one file of this folder that opens anything.
 *
 * @module
 */
import { openNetlink } from "../../netlink/socket.ts";
import { IpvsClient } from "./client.ts";

/**
 * Opens IPVS of the calling thread's network namespace. The kernel loads its module if need be.
 *
 * Everything but opening needs the capability CAP_NET_ADMIN in the machine's own user namespace, reading too: without it
 * requests are answered by "denied".
 *
 * @throws {KernelError} "unsupported" if the kernel has no IPVS.
 */
export function openIpvs(): IpvsClient {
  const connection = openNetlink("generic");
  try {
    return new IpvsClient(connection);
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}
