/**
 * A fake connection tracking table for tests, and the request that puts flows into the real one.
 *
 * It stores what it is given and answers as the kernel does where that was seen (see the contract suite); it decides
 * nothing.
 *
 * @module
 */
import { AttributeReader } from "./attribute-reader.ts";
import { AttributeWriter } from "./attribute-writer.ts";
import type { NetlinkRequest } from "./connection.ts";
import { flowCommands } from "./conntrack.ts";
import { describeFlow, type FlowTuple, flowAttribute, protocolNumbers, writeTuple } from "./flow-key.ts";
import { familyNumbers, familyOfText, ipText } from "./ip-address.ts";
import { messageFlags, viewOf } from "./message.ts";
import { nfHeader, nfHeaderLength, nfSubsystems, nfType } from "./nfnetlink.ts";
import type { FakeKernel, FakeReply, FakeRequest } from "./testing.ts";

const ENOENT = 2;
const EEXIST = 17;
const EINVAL = 22;
const EOPNOTSUPP = 95;

const newType = nfType(nfSubsystems.conntrack, flowCommands.new);
const getType = nfType(nfSubsystems.conntrack, flowCommands.get);
const deleteType = nfType(nfSubsystems.conntrack, flowCommands.delete);
const statisticsType = nfType(nfSubsystems.conntrack, flowCommands.getStatistics);

/** A flow in the table. */
export interface FakeFlow {
  readonly original: FlowTuple;
  /** As the kernel would see the answer: source and destination are swapped, and translated. */
  readonly reply: FlowTuple;
  readonly status?: number;
  readonly timeoutSeconds?: number;
  readonly mark?: number;
  readonly zone?: number;
  readonly id?: number;
  readonly counters?: {
    readonly originalPackets: bigint;
    readonly originalBytes: bigint;
    readonly replyPackets?: bigint;
    readonly replyBytes?: bigint;
  };
  /** Of TCP or SCTP, the kernel's number. */
  readonly state?: number;
}

/** What the fake kernel does with a filter: apply it, ignore it as before Linux 5.8, or refuse the request. */
export type FilterSupport = "apply" | "ignore" | "refuse";

/** A flow that was not translated, or whose destination was. */
export function fakeFlow(
  original: FlowTuple,
  endpoint?: { readonly address: string; readonly port: number },
  more: Omit<FakeFlow, "original" | "reply"> = {},
): FakeFlow {
  const { protocol, source, sourcePort, destination, destinationPort } = original;
  const reply = {
    protocol,
    source: endpoint?.address ?? destination,
    sourcePort: endpoint?.port ?? destinationPort,
    destination: source,
    destinationPort: sourcePort,
  };
  return { original, reply, ...more };
}

/** A table of flows. */
export class FakeConntrack {
  flows: FakeFlow[];
  readonly #support: FilterSupport;
  #nextId = 1;

  constructor(flows: readonly FakeFlow[] = [], support: FilterSupport = "apply") {
    this.flows = flows.map((flow) => this.#withId(flow));
    this.#support = support;
  }

  /** The function to make a `fakeConnection` of. */
  readonly kernel: FakeKernel = (request) => {
    switch (request.type) {
      case getType:
        return request.dump ? this.#list(request) : [{ errno: EOPNOTSUPP }];
      case newType:
        return this.#create(request);
      case deleteType:
        return this.#delete(request);
      case statisticsType:
        return [{ type: statisticsType, payload: encodeSize(this.flows.length) }];
      default:
        return [{ errno: EOPNOTSUPP }];
    }
  };

  #list(request: FakeRequest): readonly FakeReply[] {
    const wanted = readRequest(request);
    const { originalFlags, replyFlags } = wanted;
    const filtered = originalFlags !== undefined || replyFlags !== undefined;
    if (filtered && this.#support === "refuse") return [{ errno: EOPNOTSUPP }];
    const applies = filtered && this.#support === "apply";
    return this.flows
      .filter((flow) => familyNumbers[familyOfText(flow.original.source)] === request.payload[0])
      .filter((flow) => !applies || tupleMatches(flow.original, wanted.original, originalFlags ?? 0))
      .filter((flow) => !applies || tupleMatches(flow.reply, wanted.reply, replyFlags ?? 0))
      .map((flow) => ({ type: newType, payload: encodeFlow(flow) }));
  }

  #create(request: FakeRequest): readonly FakeReply[] {
    const { original, reply, timeoutSeconds, zone } = readRequest(request);
    if (!isWhole(original) || !isWhole(reply)) return [{ errno: EINVAL }];
    const exists = this.flows.some((flow) => sameTuple(flow.original, original) && flow.zone === zone);
    if (exists) return [{ errno: EEXIST }];
    const extra = {
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(zone === undefined ? {} : { zone }),
    };
    this.flows.push(this.#withId({ original, reply, ...extra }));
    return [];
  }

  #delete(request: FakeRequest): readonly FakeReply[] {
    const { original, zone, id } = readRequest(request);
    if (!isWhole(original)) return [{ errno: EINVAL }];
    const at = this.flows.findIndex(
      (flow) =>
        sameTuple(flow.original, original) && flow.zone === zone && (id === undefined || flow.id === id),
    );
    if (at < 0) return [{ errno: ENOENT }];
    this.flows.splice(at, 1);
    return [];
  }

  #withId(flow: FakeFlow): FakeFlow {
    return flow.id === undefined ? { ...flow, id: this.#nextId++ } : flow;
  }
}

/** A flow as an answer or an event has it. */
export function encodeFlow(flow: FakeFlow): Uint8Array {
  const { original, reply, status = 0, timeoutSeconds = 30, mark = 0, zone, id = 1, counters, state } = flow;
  const writer = new AttributeWriter(nfHeader(familyNumbers[familyOfText(original.source)]));
  writeTuple(writer, flowAttribute.originalTuple, original);
  writeTuple(writer, flowAttribute.replyTuple, reply);
  writer.be32(flowAttribute.status, status);
  if (counters !== undefined) {
    writer.nested(flowAttribute.originalCounters, (inner) =>
      inner.be64(1, counters.originalPackets).be64(2, counters.originalBytes),
    );
    writer.nested(flowAttribute.replyCounters, (inner) =>
      inner.be64(1, counters.replyPackets ?? 0n).be64(2, counters.replyBytes ?? 0n),
    );
  }
  if (state !== undefined) {
    const kind = original.protocol === protocolNumbers.TCP ? 1 : 3;
    writer.nested(flowAttribute.protocolInfo, (info) => info.nested(kind, (inner) => inner.u8(1, state)));
  }
  writer
    .be32(flowAttribute.mark, mark)
    .be32(flowAttribute.id, id)
    .be32(flowAttribute.timeout, timeoutSeconds);
  if (zone !== undefined) writer.be16(flowAttribute.zone, zone);
  return writer.finish();
}

/** Puts a flow into the table, so that a test need not make real traffic. */
export function createFlowRequest(flow: FakeFlow): NetlinkRequest {
  const { original, reply, timeoutSeconds = 120, zone } = flow;
  const writer = new AttributeWriter(nfHeader(familyNumbers[familyOfText(original.source)]));
  writeTuple(writer, flowAttribute.originalTuple, original);
  writeTuple(writer, flowAttribute.replyTuple, reply);
  if (zone !== undefined) writer.be16(flowAttribute.zone, zone);
  writer.be32(flowAttribute.timeout, timeoutSeconds);
  if (original.protocol === protocolNumbers.TCP) {
    // State "established": the kernel refuses a TCP flow without one.
    writer.nested(flowAttribute.protocolInfo, (info) => info.nested(1, (tcp) => tcp.u8(1, 3)));
  }
  return {
    operation: `create flow ${describeFlow(flow)}`,
    type: newType,
    flags: messageFlags.create | messageFlags.exclusive,
    payload: writer.finish(),
  };
}

interface RequestParts {
  readonly original: Partial<FlowTuple>;
  readonly reply: Partial<FlowTuple>;
  readonly originalFlags: number | undefined;
  readonly replyFlags: number | undefined;
  readonly timeoutSeconds: number | undefined;
  readonly zone: number | undefined;
  readonly id: number | undefined;
}

function readRequest({ payload }: FakeRequest): RequestParts {
  const parts: { -readonly [Key in keyof RequestParts]: RequestParts[Key] } = {
    original: {},
    reply: {},
    originalFlags: undefined,
    replyFlags: undefined,
    timeoutSeconds: undefined,
    zone: undefined,
    id: undefined,
  };
  for (const reader = new AttributeReader(viewOf(payload), nfHeaderLength, payload.length); reader.next(); ) {
    if (reader.type === flowAttribute.originalTuple) parts.original = readTuple(reader.nested());
    else if (reader.type === flowAttribute.replyTuple) parts.reply = readTuple(reader.nested());
    else if (reader.type === flowAttribute.timeout) parts.timeoutSeconds = reader.be32();
    else if (reader.type === flowAttribute.zone) parts.zone = reader.be16();
    else if (reader.type === flowAttribute.id) parts.id = reader.be32();
    else if (reader.type === flowAttribute.filter) {
      for (const flags = reader.nested(); flags.next(); ) {
        if (flags.type === 1) parts.originalFlags = flags.u32();
        if (flags.type === 2) parts.replyFlags = flags.u32();
      }
    }
  }
  return parts;
}

function readTuple(reader: AttributeReader): Partial<FlowTuple> {
  const tuple: { -readonly [Key in keyof FlowTuple]?: FlowTuple[Key] } = {};
  while (reader.next()) {
    if (reader.type === 3) tuple.zone = reader.be16();
    for (const part = reader.nested(); (reader.type === 1 || reader.type === 2) && part.next(); ) {
      if (reader.type === 1) tuple[part.type % 2 === 1 ? "source" : "destination"] = ipText(part.bytes());
      else if (part.type === 1) tuple.protocol = part.u8();
      else if (part.type === 2) tuple.sourcePort = part.be16();
      else if (part.type === 3) tuple.destinationPort = part.be16();
    }
  }
  return tuple;
}

function tupleMatches(tuple: FlowTuple, wanted: Partial<FlowTuple>, flags: number): boolean {
  // The kernel compares IPv6 addresses the wrong way round: see conntrack.ts.
  const matching = familyOfText(tuple.source) === "IPv4";
  return (
    ((flags & 0x01) === 0 || (tuple.source === wanted.source) === matching) &&
    ((flags & 0x02) === 0 || (tuple.destination === wanted.destination) === matching) &&
    ((flags & 0x08) === 0 || tuple.protocol === wanted.protocol) &&
    ((flags & 0x20) === 0 || tuple.destinationPort === wanted.destinationPort)
  );
}

function sameTuple(tuple: FlowTuple, other: FlowTuple): boolean {
  return describeFlow({ original: tuple }) === describeFlow({ original: other }) && tuple.zone === other.zone;
}

function isWhole(tuple: Partial<FlowTuple>): tuple is FlowTuple {
  const { protocol, source, sourcePort, destination, destinationPort } = tuple;
  return [protocol, source, sourcePort, destination, destinationPort].every((part) => part !== undefined);
}

function encodeSize(flows: number): Uint8Array {
  return new AttributeWriter(nfHeader(0)).be32(1, flows).be32(2, 262_144).finish();
}
