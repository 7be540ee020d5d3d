/**
 * Tables of nftables: deleting a whole one, with all chains, sets and maps in it.
 *
 * A change of nftables travels as a batch: a message that opens it, the commands, a message that closes it. All of it must
 * be one datagram, and it is carried out as one or not at all. Kernels before 6.10 do not acknowledge the outer two, so
 * what became of it is told by the command's own acknowledgement, unless the kernel has something to say about the batch.
 *
 * Pure but for the connection it is given. Layout: NFTA_TABLE_* of linux/netfilter/nf_tables.h, NFNL_MSG_BATCH_* of
 * linux/netfilter/nfnetlink.h.
 *
 * @module
 */
import { AttributeWriter } from "./attribute-writer.ts";
import type { NetlinkConnection, NetlinkOutcome, NetlinkRequest } from "./connection.ts";
import { familyNumbers, type IpFamily } from "./ip-address.ts";
import { isKernelError, type KernelError } from "./kernel-error.ts";
import { messageFlags } from "./message.ts";
import { nfHeader, nfHeaderLength, nfSubsystems, nfType } from "./nfnetlink.ts";

const command = { deleteTable: 2 } as const;
const attribute = { name: 1 } as const;
const batchMessages = { begin: 16, end: 17 } as const;
/** How nftables spells a family. */
export const nftFamilies: Readonly<Record<IpFamily, "ip" | "ip6">> = { IPv4: "ip", IPv6: "ip6" };

/** The three messages by which a table of family `ip` or `ip6` is deleted. */
export function deleteTableRequests(
  family: IpFamily,
  name: string,
): readonly [begin: NetlinkRequest, deletion: NetlinkRequest, end: NetlinkRequest] {
  const operation = `delete nftables table ${nftFamilies[family]} ${name}`;
  const head = nfHeader(familyNumbers[family]);
  return [
    { operation, type: batchMessages.begin, payload: batchHeader() },
    {
      operation,
      type: nfType(nfSubsystems.nftables, command.deleteTable),
      flags: messageFlags.ack,
      payload: new AttributeWriter(head).string(attribute.name, name).finish(),
    },
    { operation, type: batchMessages.end, payload: batchHeader() },
  ];
}

/**
 * Deletes a table, if it is there, in one step: no packet sees half of it.
 *
 * @returns whether it was there; false also on a kernel without nftables
 * @throws {KernelError} any other answer
 */
export function deleteNftTable(
  connection: Pick<NetlinkConnection, "transact">,
  family: IpFamily,
  name: string,
): boolean {
  const [begin, deletion, end] = connection.transact(deleteTableRequests(family, name));
  for (const outcome of [begin, end]) {
    const error = said(outcome);
    if (isKernelError(error, "unsupported")) return false;
    if (error !== undefined) throw error;
  }
  if (isKernelError(deletion?.error, "not-found")) return false;
  if (deletion?.error !== undefined) throw deletion.error;
  return true;
}

/** What the kernel said about an outer message; silence is its way to agree. */
function said(outcome: NetlinkOutcome | undefined): KernelError | undefined {
  return isKernelError(outcome?.error, "lost") ? undefined : outcome?.error;
}

/** Names the subsystem that the batch is for, in network order. */
function batchHeader(): Uint8Array {
  const header = nfHeader(0);
  header[nfHeaderLength - 1] = nfSubsystems.nftables;
  return header;
}
