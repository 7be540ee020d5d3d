/**
 * The connection tracking table over netlink: read it, delete from it, follow its events.
 *
 * Pure but for the connection it is given. Which flows are to go is decided elsewhere; here they are offered one at a
 * time, in constant memory, and removed in batches.
 *
 * Invariants
 * - A delete request always has a complete tuple. Without one it would empty the table, of the other family too.
 * - A flow that is gone already counts as a success: flows end by themselves at any time.
 * - The kernel's filter is a saving, not a promise: kernels before 5.8 ignore it, so it is applied here again. It is
 *   never asked to filter by IPv6 address: there the comparison of ctnetlink_filter_match_tuple is the wrong way
 *   round (seen on 6.18), and it offers every flow but those that match.
 *
 * The kernel does not tell when the table changed during a dump. A flow may then be missing or reported twice.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import { type NetlinkConnection, type NetlinkRequest, transactOne } from "./connection.ts";
import {
  describeFlow,
  type FlowKey,
  flowAttribute,
  tupleAttribute,
  tupleProtocolAttribute,
  writeAddresses,
  writeFlowKey,
} from "./flow-key.ts";
import { type FlowAddress, FlowView } from "./flow-view.ts";
import { familyNumbers, familyOfText, type IpFamily, ipBytes } from "./ip-address.ts";
import { isKernelError, KernelError } from "./kernel-error.ts";
import { messageFlags, type NetlinkMessage, viewOf } from "./message.ts";
import { nfHeader, nfHeaderLength, nfSubsystems, nfType } from "./nfnetlink.ts";

/** Commands of the subsystem (IPCTNL_MSG_CT_*). */
export const flowCommands = { new: 0, get: 1, delete: 2, getStatistics: 5 } as const;

/** Which flows to offer: those that match all that is given. */
export interface FlowFilter {
  readonly family: IpFamily;
  /** Protocol number. */
  readonly protocol?: number;
  /** The port the client asked for. Needs `protocol`. */
  readonly originalDestinationPort?: number;
  /** The address the client asked for. */
  readonly originalDestination?: string;
  /** The address that answers: after destination translation, the endpoint. */
  readonly replySource?: string;
}

/** A filter, and what to do with the flows that pass it. */
export interface FlowDump extends FlowFilter {
  /** Called for each flow. The view is valid during the call; keep `flow.key()`. */
  readonly onFlow: (flow: FlowView) => void;
}

/** What became of flows that were to be deleted. */
export interface FlowDeletion {
  readonly deleted: number;
  /** Flows that had ended meanwhile. */
  readonly gone: number;
  readonly failures: readonly KernelError[];
}

/** How full the table is. */
export interface FlowTableSize {
  readonly flows: number;
  /** Undefined on kernels before 5.9, which do not tell. */
  readonly limit: number | undefined;
}

/** What an event says about a flow. */
export type FlowEvent = "new" | "update" | "destroy";

const getType = nfType(nfSubsystems.conntrack, flowCommands.get);
const newType = nfType(nfSubsystems.conntrack, flowCommands.new);
const deleteType = nfType(nfSubsystems.conntrack, flowCommands.delete);
const statisticsType = nfType(nfSubsystems.conntrack, flowCommands.getStatistics);

const filterAttribute = { originalFlags: 1, replyFlags: 2 } as const;
const filterFlag = { ipSource: 0x01, ipDestination: 0x02, protocol: 0x08, destinationPort: 0x20 } as const;
const statisticsAttribute = { flows: 1, limit: 2 } as const;

/**
 * Reads the table of one family and offers the flows that match.
 *
 * @throws {KernelError} "denied" without CAP_NET_ADMIN; "unsupported" or "rejected" without conntrack over netlink.
 */
export async function dumpFlows(
  connection: NetlinkConnection,
  { onFlow, ...filter }: FlowDump,
): Promise<void> {
  const flow = new FlowView();
  const matches = flowMatcher(filter);
  let seen = false;
  const visit = (message: NetlinkMessage): void => {
    seen = true;
    if (message.type !== newType) return;
    flow.read(message);
    if (matches(flow)) onFlow(flow);
  };
  const request = dumpFlowsRequest(filter);
  try {
    await connection.dump(request, visit);
  } catch (error) {
    const refused = isKernelError(error, "unsupported") || isKernelError(error, "rejected");
    const unfiltered = dumpFlowsRequest({ family: filter.family });
    if (!refused || seen || unfiltered.payload.length === request.payload.length) throw error;
    await connection.dump(unfiltered, visit);
  }
}

/** Asks for the flows of one family, filtered by the kernel where it can. */
export function dumpFlowsRequest(filter: FlowFilter): NetlinkRequest {
  const { protocol, originalDestinationPort, originalDestination, replySource } = filter;
  if (originalDestinationPort !== undefined && protocol === undefined) {
    throw new RangeError(`Cannot filter flows by port ${originalDestinationPort}: the protocol is missing`);
  }
  for (const address of [originalDestination, replySource]) {
    if (address !== undefined && familyOfText(address) !== filter.family) {
      throw new RangeError(`Cannot filter ${filter.family} flows by ${address}`);
    }
  }
  const writer = new AttributeWriter(nfHeader(familyNumbers[filter.family]));
  writeFilter(writer, filter.family === "IPv4" ? filter : withoutAddresses(filter));
  return { operation: `list ${filter.family} flows`, type: getType, payload: writer.finish() };
}

/** Deletes flows, however many, and lets the event loop run in between. */
export async function deleteFlows(
  connection: NetlinkConnection,
  keys: Iterable<FlowKey>,
): Promise<FlowDeletion> {
  let deleted = 0;
  let gone = 0;
  const failures: KernelError[] = [];
  await connection.transactEach(deleteFlowRequests(keys), ({ error }) => {
    if (error === undefined) deleted++;
    else if (error.code === "not-found") gone++;
    else failures.push(error);
  });
  return { deleted, gone, failures };
}

/** Deletes one flow; "not-found" if it has ended. */
export function deleteFlowRequest(key: FlowKey): NetlinkRequest {
  return {
    operation: `delete flow ${describeFlow(key)}`,
    type: deleteType,
    payload: writeFlowKey(key).finish(),
  };
}

/** Reads how many flows the network namespace has, and how many it may have. */
export function readFlowTableSize(connection: NetlinkConnection): FlowTableSize {
  const operation = "read the number of tracked flows";
  const [answer] = transactOne(connection, { operation, type: statisticsType, payload: nfHeader(0) });
  if (answer === undefined) throw new KernelError("truncated", operation, { detail: "the answer is empty" });
  const reader = AttributeReader.of(answer, nfHeaderLength);
  let flows: number | undefined;
  let limit: number | undefined;
  while (reader.next()) {
    if (reader.type === statisticsAttribute.flows) flows = reader.be32();
    else if (reader.type === statisticsAttribute.limit) limit = reader.be32();
  }
  if (flows === undefined) reader.reject("it has no number of flows");
  reader.finish(operation);
  return { flows: flows ?? 0, limit };
}

/**
 * Points a view at the flow of an event (groups `nfGroups.flowNew`, `flowUpdate`, `flowDestroy`).
 *
 * @returns What happened to it, or undefined if the message is no such event; the view is then unchanged.
 * @throws {KernelError} "truncated"
 */
export function readFlowEvent(message: NetlinkMessage, flow: FlowView): FlowEvent | undefined {
  if (message.type !== newType && message.type !== deleteType) return undefined;
  flow.read(message);
  if (message.type === deleteType) return "destroy";
  return (message.flags & messageFlags.create) !== 0 ? "new" : "update";
}

function* deleteFlowRequests(keys: Iterable<FlowKey>): Generator<NetlinkRequest> {
  for (const key of keys) yield deleteFlowRequest(key);
}

function withoutAddresses({
  originalDestination: _destination,
  replySource: _source,
  ...rest
}: FlowFilter): FlowFilter {
  return rest;
}

/** Writes what the kernel is to filter by, or nothing if it is to offer all. */
function writeFilter(writer: AttributeWriter, filter: FlowFilter): void {
  const { protocol, originalDestinationPort, originalDestination, replySource } = filter;
  const originalFlags =
    (originalDestination === undefined ? 0 : filterFlag.ipDestination) |
    (protocol === undefined ? 0 : filterFlag.protocol) |
    (originalDestinationPort === undefined ? 0 : filterFlag.destinationPort);
  const replyFlags = replySource === undefined ? 0 : filterFlag.ipSource;
  if (originalFlags !== 0) {
    writer.nested(flowAttribute.originalTuple, () => {
      if (originalDestination !== undefined) writeAddresses(writer, { destination: originalDestination });
      if (protocol !== undefined) writeProtocolFilter(writer, protocol, originalDestinationPort);
    });
  }
  if (replySource !== undefined) {
    writer.nested(flowAttribute.replyTuple, () => writeAddresses(writer, { source: replySource }));
  }
  if ((originalFlags | replyFlags) === 0) return;
  // The flags, unlike every other number here, are in host order.
  writer.nested(flowAttribute.filter, () => {
    if (originalFlags !== 0) writer.u32(filterAttribute.originalFlags, originalFlags);
    if (replyFlags !== 0) writer.u32(filterAttribute.replyFlags, replyFlags);
  });
}

function writeProtocolFilter(
  writer: AttributeWriter,
  protocol: number,
  destinationPort: number | undefined,
): void {
  writer.nested(tupleAttribute.protocol, () => {
    writer.u8(tupleProtocolAttribute.number, protocol);
    if (destinationPort !== undefined) writer.be16(tupleProtocolAttribute.destinationPort, destinationPort);
  });
}

/** The filter as a test that makes no text. */
function flowMatcher(filter: FlowFilter): (flow: FlowView) => boolean {
  const { family, protocol, originalDestinationPort, originalDestination, replySource } = filter;
  const isDestination = addressMatcher("originalDestination", originalDestination);
  const isSource = addressMatcher("replySource", replySource);
  return (flow) =>
    flow.family === family &&
    (protocol === undefined || flow.protocol === protocol) &&
    (originalDestinationPort === undefined || flow.originalDestinationPort === originalDestinationPort) &&
    isDestination(flow) &&
    isSource(flow);
}

function addressMatcher(which: FlowAddress, text: string | undefined): (flow: FlowView) => boolean {
  if (text === undefined) return () => true;
  const view = viewOf(ipBytes(text));
  const words = Array.from({ length: view.byteLength / 4 }, (_, index) => view.getUint32(index * 4));
  return (flow) => words.every((word, index) => flow.addressWord(which, index) === word);
}
