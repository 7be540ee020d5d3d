/**
 * What the contract suite cannot show, because a kernel does it only under pressure: answers that are lost, late, or
 * somebody else's.
 *
 * @module
 */
import { expect, test } from "vitest";
import { collectDump, type NetlinkRequest, transactOne } from "./connection.ts";
import { Conversation } from "./conversation.ts";
import { errnos, isKernelError } from "./kernel-error.ts";
import { MessageCursor, messageFlags, messageTypes, payloadOf } from "./message.ts";
import {
  datagramOf,
  errorPayload,
  type FakeKernel,
  type FakeMessage,
  type FakeRequest,
  fakeConnection,
} from "./testing.ts";
import { codeOf } from "./testing-contract.ts";
import type { Transport } from "./transport.ts";

const port = 77;
const { EAGAIN, EBUSY, EINTR, EMSGSIZE, ENOBUFS } = errnos;

/** What waits on the socket: a datagram, or the number of an error. */
type Waiting = readonly FakeMessage[] | Uint8Array | number;

/** A socket that answers what the test says. */
class ScriptedTransport implements Transport {
  readonly port = port;
  readonly sent: FakeMessage[][] = [];
  readonly #answer: (requests: readonly FakeMessage[]) => readonly Waiting[];
  #waiting: Waiting[] = [];

  constructor(answer: (requests: readonly FakeMessage[]) => readonly Waiting[]) {
    this.#answer = answer;
  }

  send(datagram: Uint8Array): number {
    const requests: FakeMessage[] = [];
    for (const cursor = new MessageCursor(datagram.slice()); cursor.next(); ) {
      const { type, flags, sequence, port: sender } = cursor;
      requests.push({ type, flags, sequence, port: sender, payload: payloadOf(cursor) });
    }
    this.sent.push(requests);
    this.#waiting.push(...this.#answer(requests));
    return 0;
  }

  receive(buffer: Uint8Array): number {
    const next = this.#waiting.shift();
    if (next === undefined) return -EAGAIN;
    if (typeof next === "number") return -next;
    const datagram = next instanceof Uint8Array ? next : datagramOf(next);
    buffer.set(datagram.subarray(0, buffer.length));
    return datagram.length;
  }

  close(): void {
    this.#waiting = [];
  }
}

function converse(answer: (requests: readonly FakeMessage[]) => readonly Waiting[]): {
  readonly connection: Conversation;
  readonly transport: ScriptedTransport;
} {
  const transport = new ScriptedTransport(answer);
  const pause = (): Promise<void> => Promise.resolve();
  return { connection: new Conversation({ requests: transport, dumps: transport, pause }), transport };
}

function request(name: string, more: Partial<NetlinkRequest> = {}): NetlinkRequest {
  return { operation: `try ${name}`, type: 16, payload: new Uint8Array(4), ...more };
}

function error(errno: number, of: FakeMessage | undefined): FakeMessage {
  const { type = 0, flags = 0, sequence = 0 } = of ?? {};
  const payload = errorPayload(errno, { type, flags, sequence });
  return { type: messageTypes.error, flags: messageFlags.capped, sequence, port, payload };
}

function answer(of: FakeMessage | undefined, more: Partial<FakeMessage> = {}): FakeMessage {
  return {
    type: 17,
    flags: 0,
    sequence: of?.sequence ?? 0,
    port,
    payload: Uint8Array.of(1, 2, 3, 4),
    ...more,
  };
}

function done(of: FakeMessage | undefined): FakeMessage {
  return answer(of, { type: messageTypes.done, flags: messageFlags.multi, payload: new Uint8Array(4) });
}

test("transact() asks only the last request of a batch for an acknowledgement, and numbers them in a row", () => {
  const { connection, transport } = converse((requests) => [[error(0, requests.at(-1))]]);
  connection.transact([request("a"), request("b", { flags: messageFlags.create }), request("c")]);
  const [batch = []] = transport.sent;
  const { request: asked, ack, create } = messageFlags;
  expect(batch.map(({ flags }) => flags)).toEqual([asked, asked | create, asked | ack]);
  const [first = 0] = batch.map(({ sequence }) => sequence);
  expect(batch.map(({ sequence }) => sequence)).toEqual([first, first + 1, first + 2]);
  expect(batch.every(({ port: sender }) => sender === 0)).toBe(true);
  expect(first).toBeGreaterThan(0);
});

test("transact() sends at most 400 requests, and at most 64 KiB, in one datagram", () => {
  const { connection, transport } = converse((requests) => [[error(0, requests.at(-1))]]);
  const small = Array.from({ length: 900 }, () => request("small"));
  expect(connection.transact(small).map(codeOf)).toEqual(small.map(() => "done"));
  expect(transport.sent.map((batch) => batch.length)).toEqual([400, 400, 100]);
  transport.sent.length = 0;
  const large = Array.from({ length: 5 }, () => request("large", { payload: new Uint8Array(30_000) }));
  connection.transact([...large, request("huge", { payload: new Uint8Array(70_000) }), request("small")]);
  expect(transport.sent.map((batch) => batch.length)).toEqual([2, 2, 1, 1, 1]);
});

test("transact() ignores answers to other requests and other sockets", () => {
  const { connection } = converse((requests) => {
    const [first, last] = requests;
    return [
      [{ ...error(EBUSY, first), sequence: 4_000_000_000 }],
      [{ ...error(EBUSY, first), port: port + 1 }, answer(first)],
      [answer(first, { sequence: 0 }), error(0, last)],
    ];
  });
  const outcomes = connection.transact([request("first"), request("last")]);
  expect(outcomes.map(codeOf)).toEqual(["done", "done"]);
  expect(outcomes.map(({ messages }) => messages.length)).toEqual([1, 0]);
});

test("transact() gives the answers to a request that is answered by several messages", () => {
  const { connection } = converse(([only]) => [[answer(only), answer(only, { type: 18 })], [error(0, only)]]);
  const messages = transactOne(connection, request("a"));
  expect(messages.map(({ type }) => type)).toEqual([17, 18]);
});

test("transact() passes over messages that mean nothing, and interrupted calls", () => {
  const { connection } = converse(([only]) => [
    EINTR,
    [answer(only, { type: messageTypes.noop })],
    [error(0, only)],
  ]);
  expect(transactOne(connection, request("a"))).toEqual([]);
});

test("transact() calls what was not answered lost when the receive buffer overflowed, and reads the rest", () => {
  const { connection, transport } = converse((requests) =>
    transport.sent.length === 1
      ? [[error(EBUSY, requests[0])], ENOBUFS, [error(0, requests[2])], [error(EBUSY, requests[3])]]
      : [[error(0, requests.at(-1))]],
  );
  const outcomes = connection.transact([
    request("a"),
    request("b"),
    request("c"),
    request("d"),
    request("e"),
  ]);
  expect(outcomes.map(codeOf)).toEqual(["busy", "lost", "done", "busy", "lost"]);
  expect(outcomes[1]?.error?.message).toBe(
    "Cannot try b: the answer was lost, it is not known whether it was done",
  );
  expect(connection.transact([request("f")]).map(codeOf)).toEqual(["done"]);
});

test("transact() calls what was not answered lost when the kernel says it overran", () => {
  const { connection } = converse((requests) => [
    [answer(requests[0], { type: messageTypes.overrun }), error(0, requests[1])],
  ]);
  expect(connection.transact([request("a"), request("b")]).map(codeOf)).toEqual(["lost", "done"]);
});

test("transact() does not wait for an answer that never comes", () => {
  const { connection } = converse((requests) => [[error(EBUSY, requests[0])]]);
  expect(connection.transact([request("a"), request("b")]).map(codeOf)).toEqual(["busy", "lost"]);
});

test("transact() lets a request say what a number means to it", () => {
  const { connection } = converse((requests) => requests.map((one) => [error(errnos.ENOENT, one)]));
  const outcomes = connection.transact([
    request("a", { codes: { [errnos.ENOENT]: "unsupported" } }),
    request("b"),
  ]);
  expect(outcomes.map(codeOf)).toEqual(["unsupported", "not-found"]);
});

test("transact() gives back what the kernel repeats of a request", () => {
  const echo = Uint8Array.of(9, 9, 9, 9);
  const { connection } = converse(([only]) => {
    const payload = errorPayload(EBUSY, only ?? { type: 0, flags: 0, sequence: 0 }, { echo, text: "in use" });
    return [[{ ...error(EBUSY, only), flags: messageFlags.extendedAck, payload }]];
  });
  const [outcome] = connection.transact([request("a")]);
  expect(outcome?.echo).toEqual(echo);
  expect(outcome?.error?.message).toBe("Cannot try a: EBUSY: in use");
});

test("transact() calls nothing lost that could not even be sent", () => {
  const { connection, transport } = converse(() => []);
  const numbers = [EMSGSIZE, ENOBUFS];
  transport.send = () => numbers.shift() ?? 0;
  expect(connection.transact([request("a"), request("b")]).map(codeOf)).toEqual(["rejected", "rejected"]);
  expect(connection.transact([request("a")]).map(codeOf)).toEqual(["busy"]);
});

test("transact() throws for an answer that does not decode, and the next one works", () => {
  const { connection, transport } = converse((requests) =>
    transport.sent.length === 1
      ? [Uint8Array.of(1, 2, 3), [error(0, requests[0])]]
      : [[error(0, requests[0])]],
  );
  expect(() => connection.transact([request("a")])).toThrow(expect.objectContaining({ code: "truncated" }));
  expect(connection.transact([request("b")]).map(codeOf)).toEqual(["done"]);
});

test("transact() throws for a datagram that did not fit the buffer, and for an error of the socket", () => {
  const cut = converse(() => [new Uint8Array(200_000)]);
  expect(() => cut.connection.transact([request("a")])).toThrow(
    expect.objectContaining({ code: "truncated" }),
  );
  const broken = converse(() => [12]);
  expect(() => broken.connection.transact([request("a")])).toThrow(
    "Cannot receive the answers to requests: ENOMEM",
  );
});

test("transact() survives a fake kernel with little room, and the changes are made", () => {
  const seen: number[] = [];
  const kernel: FakeKernel = ({ payload }) => {
    seen.push(payload[0] ?? 0);
    return [{ errno: EBUSY }];
  };
  using connection = fakeConnection(kernel, { room: 3 });
  const requests = [1, 2, 3, 4, 5].map((id) => request(`${id}`, { payload: Uint8Array.of(id, 0, 0, 0) }));
  expect(connection.transact(requests).map(codeOf)).toEqual(
    ["lost", "lost", "lost", "lost", "lost"].fill("busy", 0, 3),
  );
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});

test("transactEach() takes requests only as it sends them, and pauses in between", async () => {
  let taken = 0;
  let pauses = 0;
  const transport = new ScriptedTransport((requests) => [[error(0, requests.at(-1))]]);
  const connection = new Conversation({
    requests: transport,
    dumps: transport,
    pause: () => {
      pauses++;
      // What was taken was sent before the pause.
      expect(transport.sent.flat().length).toBe(taken);
      return Promise.resolve();
    },
  });
  function* requests(): Generator<NetlinkRequest> {
    for (; taken < 2000; ) {
      taken++;
      yield request(`${taken}`);
    }
  }
  const places: number[] = [];
  await connection.transactEach(requests(), (_, index) => places.push(index));
  expect(places).toEqual([...places.keys()]);
  expect(places).toHaveLength(2000);
  expect(pauses).toBe(2);
});

test("dump() asks for no acknowledgement", async () => {
  const { connection, transport } = converse(([only]) => [[done(only)]]);
  await connection.dump(request("list"), () => expect.unreachable());
  expect(transport.sent[0]?.[0]?.flags).toBe(messageFlags.request | messageFlags.dump);
});

test("dump() rejects as busy after the last message when the table changed, wherever that was flagged", async () => {
  const flagged = { flags: messageFlags.multi | messageFlags.dumpInterrupted };
  for (const place of [0, 1, 2]) {
    const { connection } = converse(([only]) => [
      [0, 1].map((index) => answer(only, index === place ? flagged : {})),
      [place === 2 ? { ...done(only), ...flagged } : done(only)],
    ]);
    let visits = 0;
    const dump = connection.dump(request("list"), () => visits++);
    await expect(dump).rejects.toThrow("Cannot try list: the table changed while it was read");
    expect(visits).toBe(2);
  }
});

test("dump() ignores messages of other dumps and other sockets", async () => {
  const { connection } = converse(([only]) => [
    [answer(only, { sequence: 999 }), { ...done(only), sequence: 999 }],
    [{ ...done(only), port: port + 1 }, answer(only), done(only)],
  ]);
  let visits = 0;
  await connection.dump(request("list"), () => visits++);
  expect(visits).toBe(1);
});

test("dump() rejects with the status that the dump ended with, in the request's terms", async () => {
  const { connection } = converse(([only]) => [
    [answer(only), { ...done(only), payload: Uint8Array.of(0xfe, 0xff, 0xff, 0xff) }],
  ]);
  const dump = connection.dump(request("list", { codes: { 2: "unsupported" } }), () => undefined);
  await expect(dump).rejects.toMatchObject({ code: "unsupported", errno: 2 });
});

test.each<[string, (only: FakeMessage | undefined) => readonly Waiting[], string]>([
  ["its end never comes", (only) => [[answer(only)]], "lost"],
  ["the buffer overflowed", (only) => [[answer(only)], ENOBUFS, [done(only)]], "lost"],
  ["the kernel overran", (only) => [[answer(only, { type: messageTypes.overrun })], [done(only)]], "lost"],
  ["a datagram does not decode", (only) => [Uint8Array.of(1, 2, 3), [done(only)]], "truncated"],
  ["a datagram did not fit", (only) => [new Uint8Array(200_000), [done(only)]], "truncated"],
  ["the dump is refused", (only) => [[error(EBUSY, only)]], "busy"],
])("dump() rejects when %s, and the next dump works", async (_, script, code) => {
  const { connection, transport } = converse(([only]) =>
    transport.sent.length === 1 ? script(only) : [[answer(only), done(only)]],
  );
  await expect(connection.dump(request("list"), () => undefined)).rejects.toMatchObject({ code });
  let visits = 0;
  await connection.dump(request("list"), () => visits++);
  expect(visits).toBe(1);
});

test("dump() rejects when it cannot even be sent", async () => {
  const { connection, transport } = converse(() => []);
  transport.send = () => ENOBUFS;
  await expect(connection.dump(request("list"), () => undefined)).rejects.toMatchObject({ code: "busy" });
});

test("dump() goes on after an interrupted call, and pauses every few datagrams", async () => {
  let pauses = 0;
  const transport = new ScriptedTransport(([only]) => [
    EINTR,
    ...Array.from({ length: 20 }, () => [answer(only)]),
    [answer(only, { type: messageTypes.noop }), done(only)],
  ]);
  const connection = new Conversation({
    requests: transport,
    dumps: transport,
    pause: () => {
      pauses++;
      return Promise.resolve();
    },
  });
  let visits = 0;
  await connection.dump(request("list"), () => visits++);
  expect([visits, pauses]).toEqual([20, 2]);
});

test("collectDump() repeats a dump that was interrupted, and gives up after five times", async () => {
  const interrupted = (times: number): FakeKernel => {
    let left = times;
    return ({ dump }: FakeRequest) => {
      expect(dump).toBe(true);
      const flags = left-- > 0 ? messageFlags.dumpInterrupted : 0;
      return [1, 2].map((id) => ({ type: 17, payload: Uint8Array.of(id), flags }));
    };
  };
  using settled = fakeConnection(interrupted(4));
  expect(await collectDump(settled, request("list"), (message) => payloadOf(message)[0])).toEqual([1, 2]);
  using restless = fakeConnection(interrupted(5));
  const given = collectDump(restless, request("list"), () => undefined);
  await expect(given).rejects.toSatisfy((reason) => isKernelError(reason, "busy"));
});

test("collectDump() does not repeat what failed otherwise", async () => {
  let requests = 0;
  using connection = fakeConnection(() => {
    requests++;
    return [{ errno: 1 }];
  });
  await expect(collectDump(connection, request("list"), () => 1)).rejects.toMatchObject({ code: "denied" });
  expect(requests).toBe(1);
});

test("sequence numbers begin anew before they would pass 32 bits, and skip 0", () => {
  const transport = new ScriptedTransport((requests) => [[error(0, requests.at(-1))]]);
  const connection = new Conversation({
    requests: transport,
    dumps: transport,
    pause: () => Promise.resolve(),
    firstSequence: 0xffff_ffff - 500,
  });
  const many = Array.from({ length: 400 }, () => request("a"));
  connection.transact(many);
  connection.transact(many);
  const sequences = transport.sent.map((batch) => batch.map(({ sequence }) => sequence));
  expect(sequences.flat().every((sequence) => sequence > 0 && sequence <= 0xffff_ffff)).toBe(true);
  expect(sequences[1]?.[0]).toBe(1);
});
