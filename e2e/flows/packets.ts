/**
 * Sends the first packets of connections into a stage and watches what becomes of them.
 *
 * Each packet comes from a source port of its own, so the connections do not touch each other and all of them can be
 * under way at once. Sockets are opened in the stage's namespaces by this process: no helper process, no waiting for
 * one.
 *
 * @module
 */
import { closeSync } from "node:fs";
import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import {
  AF_INET,
  AF_INET6,
  allowForeignSource,
  bindSocket,
  collectIcmpErrors,
  connectSocket,
  currentCpu,
  EINPROGRESS,
  type IcmpError,
  isWritable,
  onCpu,
  openSocket,
  receiveIcmpError,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  sendDatagram,
  socketAddress,
  takeSocketError,
} from "../harness/libc.ts";
import type { Protocol } from "../model/cluster.ts";
import { ConntrackEvents, canonicalAddress, type NewConnection, type Tuple } from "./conntrack-events.ts";
import { fateOf, isSettled, type Observation } from "./fate.ts";
import { sctpInit } from "./sctp-init.ts";
import { isOnNode, type Stage } from "./stage.ts";

/** From where to where. */
export interface Route {
  readonly sourceIP: string;
  readonly destIP: string;
  readonly protocol: Protocol;
  readonly destPort: number;
}

/**
 * The packets by which silence is told from a delay, see PacketSender: between addresses that no case uses (RFC 2544,
 * RFC 5180), to the discard port.
 */
const SENTINELS: Readonly<Record<4 | 6, Route>> = {
  4: { sourceIP: "198.18.0.1", destIP: "198.19.0.1", protocol: "UDP", destPort: 9 },
  6: { sourceIP: "2001:2::1", destIP: "2001:2::2", protocol: "UDP", destPort: 9 },
};
/** A packet takes at most two turns of the processor's queue until its sender hears of its end. */
const TURNS = 2;
/** A sentinel that is not announced in so long has been discarded too, by rules that discard everything. */
const PATIENCE_MILLISECONDS = 1000;
/** Above the range of node ports, so that none of those is taken by a packet on its way. */
const FIRST_SOURCE_PORT = 33_000;
const LAST_SOURCE_PORT = 65_535;
const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const SOCKET_TYPES: Readonly<Record<Protocol, number>> = {
  TCP: SOCK_STREAM,
  UDP: SOCK_DGRAM,
  SCTP: SOCK_RAW,
};
/** So many sockets are open at once, well below the usual limit of 1,024 descriptors. */
const BATCH = 500;

function keyOf({ protocol, source, sourcePort, destination, destinationPort }: Tuple): string {
  return `${protocol} ${source} ${sourcePort} ${destination} ${destinationPort}`;
}

function isAddressInUse(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

/** One packet that has been sent. */
class Packet {
  readonly key: string;
  readonly onNode: boolean;
  readonly #protocol: Protocol;
  readonly #sourcePort: number;
  readonly #descriptor: number;
  #icmp: IcmpError | undefined;
  #errno = 0;
  #connected = false;

  /** Opens a socket in the namespace where `route` begins, binds it to `sourcePort` and sends. */
  constructor(stage: Stage, route: Route, sourcePort: number) {
    const { sourceIP, destIP, protocol, destPort } = route;
    const family = destIP.includes(":") ? 6 : 4;
    const fromNode = isOnNode(stage, sourceIP);
    this.onNode = fromNode && isOnNode(stage, destIP);
    this.#protocol = protocol;
    this.#sourcePort = sourcePort;
    this.key = keyOf({
      protocol: PROTOCOL_NUMBERS[protocol],
      source: canonicalAddress(sourceIP),
      sourcePort,
      destination: canonicalAddress(destIP),
      destinationPort: destPort,
    });
    this.#descriptor = (fromNode ? stage.node : stage.clients).enter(() =>
      openSocket(
        family === 4 ? AF_INET : AF_INET6,
        SOCKET_TYPES[protocol],
        protocol === "SCTP" ? PROTOCOL_NUMBERS.SCTP : 0,
      ),
    );
    try {
      if (!fromNode) allowForeignSource(this.#descriptor, family);
      collectIcmpErrors(this.#descriptor, family, true);
      // A raw socket has no port: the packet's own header has it.
      bindSocket(this.#descriptor, socketAddress(sourceIP, protocol === "SCTP" ? 0 : sourcePort));
      this.#errno = this.#send(destIP, destPort);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #send(destIP: string, destPort: number): number {
    if (this.#protocol === "TCP") {
      const errno = connectSocket(this.#descriptor, socketAddress(destIP, destPort));
      return errno === EINPROGRESS ? 0 : errno;
    }
    if (this.#protocol === "UDP") {
      return sendDatagram(this.#descriptor, Buffer.from("?"), socketAddress(destIP, destPort));
    }
    return sendDatagram(this.#descriptor, sctpInit(this.#sourcePort, destPort), socketAddress(destIP, 0));
  }

  /** What is known now, given what was announced about its connection. */
  observe(connection: NewConnection | undefined): Observation {
    this.#icmp ??= this.#receiveIcmpError();
    if (this.#errno === 0) this.#errno = takeSocketError(this.#descriptor);
    if (this.#protocol === "TCP") this.#connected ||= isWritable(this.#descriptor);
    return { connection, icmp: this.#icmp, errno: this.#errno, connected: this.#connected };
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  /** The ICMP error about this packet. A raw socket also gets those about all others between the same addresses. */
  #receiveIcmpError(): IcmpError | undefined {
    for (;;) {
      const error = receiveIcmpError(this.#descriptor);
      if (error === undefined || this.#protocol !== "SCTP") return error;
      if (error.sent.readUInt16BE(0) === this.#sourcePort) return error;
    }
  }
}

/**
 * Sends packets into one stage.
 *
 * That nothing more will be heard of a packet is not a matter of waiting long enough: on a busy machine the kernel may
 * leave packets unprocessed for hundreds of milliseconds. What is sent between namespaces lies in a queue of the sending
 * processor, first in, first out (enqueue_to_backlog in the kernel's net/core/dev.c), and so does what is sent in
 * answer. So all packets are sent on one processor, and then a sentinel that is bound to get through. When it has been
 * announced, the packets before it have been processed; when a second one has, their answers have, too.
 */
export class PacketSender implements Disposable {
  readonly #stage: Stage;
  readonly #events: ConntrackEvents;
  readonly #sinks = new Map<string, number>();
  #sourcePort: number = FIRST_SOURCE_PORT;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#events = new ConntrackEvents(stage.node);
  }

  /**
   * Sends `count` packets along each of `routes`, in every case the first of a connection, and gives back the fates
   * that each route's packets met, in the order of the routes.
   */
  async send(
    routes: readonly { readonly route: Route; readonly count: number }[],
  ): Promise<readonly ReadonlySet<string>[]> {
    const fates = routes.map(() => new Set<string>());
    const all = routes.flatMap(({ route, count }, index) =>
      Array.from({ length: count }, () => ({ route, index })),
    );
    for (let start = 0; start < all.length; start += BATCH) {
      const batch = all.slice(start, start + BATCH);
      const met = await this.#sendBatch(batch.map(({ route }) => route));
      for (const [position, fate] of met.entries()) fates[batch[position]?.index ?? 0]?.add(fate);
    }
    return fates;
  }

  [Symbol.dispose](): void {
    this.#events[Symbol.dispose]();
    for (const descriptor of this.#sinks.values()) closeSync(descriptor);
  }

  async #sendBatch(routes: readonly Route[]): Promise<readonly string[]> {
    const connections = new Map<string, NewConnection>();
    const packets: Packet[] = [];
    const cpu = currentCpu();
    try {
      for (const route of routes) this.#openSink(route);
      onCpu(cpu, () => {
        for (const route of routes) packets.push(this.#sendOne(route));
      });
      const observe = (packet: Packet): Observation => packet.observe(connections.get(packet.key));
      const allSettled = (): boolean => packets.every((packet) => isSettled(observe(packet), packet.onNode));
      this.#readEvents(connections);
      for (let turn = 0; turn < TURNS && !allSettled(); turn++) {
        if (!(await this.#awaitTurn(cpu, connections))) break;
      }
      // An ICMP error may have been seen before the announcement that preceded it.
      this.#readEvents(connections);
      return packets.map((packet) => fateOf(observe(packet), packet.onNode, this.#stage.nodeAddresses));
    } finally {
      for (const packet of packets) packet.close();
    }
  }

  /** Waits until what lay in the queue of `cpu` has been processed; false when there is no telling. */
  async #awaitTurn(cpu: number, connections: Map<string, NewConnection>): Promise<boolean> {
    const sentinel = onCpu(cpu, () => this.#sendOne(SENTINELS[this.#stage.family]));
    try {
      const deadline = performance.now() + PATIENCE_MILLISECONDS;
      for (let pause = nextTurn; !connections.has(sentinel.key); pause = () => wait(1)) {
        if (performance.now() >= deadline) return false;
        await pause();
        this.#readEvents(connections);
      }
      return true;
    } finally {
      sentinel.close();
    }
  }

  #sendOne(route: Route): Packet {
    for (;;) {
      if (this.#sourcePort > LAST_SOURCE_PORT)
        throw new RangeError("Cannot send packet: no source port is left");
      this.#sourcePort += 1;
      try {
        return new Packet(this.#stage, route, this.#sourcePort - 1);
      } catch (error) {
        if (!isAddressInUse(error)) throw error;
      }
    }
  }

  /**
   * Lets somebody on the node take in datagrams that are addressed to the node: else its kernel answers them as a
   * REJECT rule does. With TCP it answers with a reset, which is told apart.
   */
  #openSink({ protocol, destIP, destPort }: Route): void {
    const key = `${destIP} ${destPort}`;
    if (protocol !== "UDP" || !isOnNode(this.#stage, destIP) || this.#sinks.has(key)) return;
    const family = destIP.includes(":") ? AF_INET6 : AF_INET;
    const descriptor = this.#stage.node.enter(() => openSocket(family, SOCK_DGRAM));
    this.#sinks.set(key, descriptor);
    try {
      bindSocket(descriptor, socketAddress(destIP, destPort));
    } catch (error) {
      if (!isAddressInUse(error)) throw error; // else somebody takes them in already
    }
  }

  #readEvents(connections: Map<string, NewConnection>): void {
    for (const connection of this.#events.read()) connections.set(keyOf(connection.original), connection);
  }
}
