/**
 * The tables of nftables: their families and names.
 *
 * Pure but for the connection it is given. Layout: NFTA_TABLE_* of linux/netfilter/nf_tables.h; the family stands in the
 * header.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { collectDump, type NetlinkConnection, type NetlinkRequest } from "./connection.ts";
import type { NetlinkMessage } from "./message.ts";
import { nfHeader, nfHeaderLength, nfSubsystems, nfType } from "./nfnetlink.ts";

/** A table. */
export interface NftTable {
  /** As nft(8) has it: `ip`, `ip6`, `inet`; a number for one that has no name here. */
  readonly family: string;
  readonly name: string;
}

const command = { newTable: 0, getTable: 1 } as const;
const attribute = { name: 1 } as const;

/** NFPROTO_*. */
const familyNames: Readonly<Record<number, string>> = {
  1: "inet",
  2: "ip",
  3: "arp",
  5: "netdev",
  7: "bridge",
  10: "ip6",
};

/** Asks for all tables of all families. */
export const nftTablesRequest: NetlinkRequest = {
  operation: "list the tables of nftables",
  type: nfType(nfSubsystems.nftables, command.getTable),
  payload: nfHeader(0),
};

/**
 * All tables of the network namespace.
 *
 * @throws {KernelError} "denied" without CAP_NET_ADMIN; "rejected" or "unsupported" where there is no nftables.
 */
export function listNftTables(connection: NetlinkConnection): Promise<NftTable[]> {
  return collectDump(connection, nftTablesRequest, decodeNftTable);
}

/**
 * Decodes a message about a table; undefined if it is about something else.
 *
 * @throws {KernelError} "truncated"
 */
export function decodeNftTable(message: NetlinkMessage): NftTable | undefined {
  if (message.type !== nfType(nfSubsystems.nftables, command.newTable)) return undefined;
  const reader = AttributeReader.of(message, nfHeaderLength);
  let name: string | undefined;
  while (reader.next()) {
    if (reader.type === attribute.name) name = reader.string();
  }
  if (name === undefined) reader.reject("it has no name");
  reader.finish(nftTablesRequest.operation);
  const family = message.view.getUint8(message.start);
  return { family: familyNames[family] ?? String(family), name: name ?? "" };
}
