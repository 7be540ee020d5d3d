/**
 * The generation of the nftables rule set: a number that every commit by anybody raises.
 *
 * Two equal readings mean that nothing in nftables changed in between, which includes the tables of `iptables-nft`; a
 * foreign change shows without reading a single rule. An event on group `nfGroups.nftables` ends each commit with a
 * message of the same form.
 *
 * Pure but for the connection it is given. Layout: NFTA_GEN_* of linux/netfilter/nf_tables.h.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { type NetlinkConnection, type NetlinkRequest, transactOne } from "./connection.ts";
import { KernelError } from "./kernel-error.ts";
import type { NetlinkMessage } from "./message.ts";
import { nfHeader, nfHeaderLength, nfSubsystems, nfType } from "./nfnetlink.ts";

/** A generation as the kernel reports it. */
export interface NftGeneration {
  /** Unsigned 32-bit number. */
  readonly id: number;
  /**
   * The process in whose context the report was made: in an event the one that committed, in an answer to
   * `readNftGeneration` the one that asks. Undefined on kernels that do not tell.
   */
  readonly process: { readonly id: number; readonly name: string } | undefined;
}

const command = { newGeneration: 15, getGeneration: 16 } as const;
const attribute = { id: 1, processId: 2, processName: 3 } as const;

/** Asks for the current generation. */
export const nftGenerationRequest: NetlinkRequest = {
  operation: "read the nftables generation",
  type: nfType(nfSubsystems.nftables, command.getGeneration),
  payload: nfHeader(0),
};

/**
 * The current generation.
 *
 * @throws {KernelError} What the kernel answered: "rejected" or "unsupported" where it has no nftables.
 */
export function readNftGeneration(connection: NetlinkConnection): NftGeneration {
  const [answer] = transactOne(connection, nftGenerationRequest);
  const generation = answer === undefined ? undefined : decodeNftGeneration(answer);
  if (generation === undefined) {
    throw new KernelError("truncated", nftGenerationRequest.operation, {
      detail: "the answer has no generation",
    });
  }
  return generation;
}

/**
 * Decodes a report of a generation; undefined if the message is about something else in nftables.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeNftGeneration(message: NetlinkMessage): NftGeneration | undefined {
  if (message.type !== nfType(nfSubsystems.nftables, command.newGeneration)) return undefined;
  const reader = AttributeReader.of(message, nfHeaderLength);
  let id: number | undefined;
  let processId: number | undefined;
  let name = "";
  while (reader.next()) {
    if (reader.type === attribute.id) id = reader.be32();
    else if (reader.type === attribute.processId) processId = reader.be32();
    else if (reader.type === attribute.processName) name = reader.string();
  }
  if (id === undefined) reader.reject("it has no number");
  reader.finish(nftGenerationRequest.operation);
  return { id: id ?? 0, process: processId === undefined ? undefined : { id: processId, name } };
}
