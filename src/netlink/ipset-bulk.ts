/**
 * Many entries of an IP set at once.
 *
 * Pure but for the connection it is given. One message takes hundreds of entries, which is five times as fast as a
 * message for each. The price is that the kernel ends such a message at the first entry that fails: entries before it
 * stay, and the answer repeats the message with the number of that entry's line. The entries behind it are then sent
 * again, so that one bad entry does not stop the rest.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { attributeFlags } from "./attribute-writer.ts";
import type { NetlinkConnection, NetlinkRequest } from "./connection.ts";
import { type SetEntry, writeEntry } from "./ipset-entry.ts";
import {
  describeEntryCommand,
  type EntryCommand,
  entryErrorCodes,
  setAttribute,
  setCommands,
  setType,
  setWriter,
} from "./ipset-wire.ts";
import { type KernelError, kernelErrorFromErrno } from "./kernel-error.ts";
import { viewOf } from "./message.ts";
import { nfHeaderLength } from "./nfnetlink.ts";

/** An entry that a set did not take, or did not give up. */
export interface EntryFailure {
  readonly entry: SetEntry;
  readonly error: KernelError;
}

/** Entries that one message takes: the largest has 92 bytes, and the attribute around them holds 65,535. */
export const entriesPerMessage = 700;

type BulkCommand = Exclude<EntryCommand, "test">;

/**
 * Adds entries of one type; those that are there get their new timeout.
 *
 * @returns The entries that were not added, and why.
 */
export function addEntries(
  connection: NetlinkConnection,
  name: string,
  entries: readonly SetEntry[],
): Promise<readonly EntryFailure[]> {
  return changeEntries(connection, "add", name, entries);
}

/**
 * Deletes entries of one type; those that are not there are no failure.
 *
 * @returns The entries that were not deleted, and why.
 */
export function deleteEntries(
  connection: NetlinkConnection,
  name: string,
  entries: readonly SetEntry[],
): Promise<readonly EntryFailure[]> {
  return changeEntries(connection, "delete", name, entries);
}

async function changeEntries(
  connection: NetlinkConnection,
  command: BulkCommand,
  name: string,
  entries: readonly SetEntry[],
): Promise<readonly EntryFailure[]> {
  const failures: EntryFailure[] = [];
  let round = inMessages(entries);
  while (round.length > 0) {
    const sent = round;
    const next: (readonly SetEntry[])[] = [];
    await connection.transactEach(bulkRequests(command, name, sent), ({ error, echo }, index) => {
      const part = sent[index];
      if (error === undefined || part === undefined) return;
      const { from, to } = failedRange(part.length, error, echo);
      for (const entry of part.slice(from, to)) {
        failures.push({ entry, error: errorOfEntry(command, name, entry, error) });
      }
      if (to < part.length) next.push(part.slice(to));
    });
    round = next;
  }
  return failures;
}

function* bulkRequests(
  command: BulkCommand,
  name: string,
  messages: readonly (readonly SetEntry[])[],
): Generator<NetlinkRequest> {
  for (const entries of messages) yield bulkRequest(command, name, entries);
}

/**
 * One message with several entries, at most `entriesPerMessage`. On failure its outcome's `echo` names the line, numbered
 * from 1, of the entry at which the kernel stopped.
 */
export function bulkRequest(
  command: BulkCommand,
  name: string,
  entries: readonly SetEntry[],
): NetlinkRequest {
  // The command's own line is where the kernel writes the number of the entry that failed.
  const writer = setWriter(name).be32(setAttribute.line | attributeFlags.networkOrder, 0);
  writer.nested(setAttribute.entries, () => {
    for (const [index, entry] of entries.entries()) {
      writer.nested(setAttribute.data, (data) => writeEntry(data, entry, index + 1));
    }
  });
  const [first] = entries;
  return {
    operation: `${command} ${entries.length} entries of set ${name}`,
    type: setType(setCommands[command]),
    payload: writer.finish(),
    codes: first === undefined ? {} : entryErrorCodes(command, first.type),
  };
}

/** Which entries of a message of `count` were not handled, and where to go on. */
function failedRange(
  count: number,
  error: KernelError,
  echo: Uint8Array | undefined,
): { readonly from: number; readonly to: number } {
  const line = echo === undefined ? 0 : failedLine(echo);
  if (line < 1 || line > count) return { from: 0, to: count };
  // A full set takes none of those behind it either; sending them one round each would be quadratic.
  return { from: line - 1, to: error.code === "full" ? count : line };
}

/** The line in a message that the kernel sent back; 0 if it has none. */
function failedLine(echo: Uint8Array): number {
  const reader = new AttributeReader(viewOf(echo), nfHeaderLength, echo.length);
  while (reader.next()) {
    if (reader.type === setAttribute.line) return reader.be32();
  }
  return 0;
}

/** The kernel's answer to a message, as the error of one of its entries. */
function errorOfEntry(command: BulkCommand, name: string, entry: SetEntry, error: KernelError): KernelError {
  if (error.errno === undefined) return error;
  return kernelErrorFromErrno(error.errno, describeEntryCommand(command, name, entry), {
    codes: entryErrorCodes(command, entry.type),
    extendedAck: error.extendedAck,
  });
}

function inMessages(entries: readonly SetEntry[]): (readonly SetEntry[])[] {
  const messages: (readonly SetEntry[])[] = [];
  for (let from = 0; from < entries.length; from += entriesPerMessage) {
    messages.push(entries.slice(from, from + entriesPerMessage));
  }
  return messages;
}
