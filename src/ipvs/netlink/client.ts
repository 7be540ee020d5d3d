/**
 * IPVS of one network namespace: read it, change it.
 *
 * Pure but for the connection it is given. Changes go through `transact` and `transactEach`, many to a datagram, or
 * one at a time through a method of their own that throws the kernel's refusal; requests.ts says what refusals mean.
 *
 * The kernel sends no events about IPVS and its dumps are not snapshots: a table that changes while it is read may
 * show an entry twice or not at all.
 *
 * @module
 */
import {
  collectDump,
  type NetlinkConnection,
  type NetlinkOutcome,
  transactOne,
} from "../../netlink/connection.ts";
import { findFamily } from "../../netlink/generic.ts";
import { errnos, isKernelError, KernelError } from "../../netlink/kernel-error.ts";
import type { NetlinkMessage } from "../../netlink/message.ts";
import { decodeInfo, type IpvsInfo } from "./info.ts";
import type { ObservedRealServer, RealServer, RealServerKey } from "./real-server.ts";
import { decodeRealServer } from "./real-server-codec.ts";
import {
  addRealServerRequest,
  addVirtualServerRequest,
  deleteRealServerRequest,
  deleteVirtualServerRequest,
  editRealServerRequest,
  editVirtualServerRequest,
  flushRequest,
  setTimeoutsRequest,
  startDaemonRequest,
  stopDaemonRequest,
  type ToleranceOption,
  zeroRequest,
} from "./requests.ts";
import type { StatisticsOption } from "./statistics.ts";
import { decodeDaemon, type SyncDaemon, type SyncRole } from "./sync-daemon.ts";
import type { ObservedTableEntry } from "./table-entry.ts";
import { decodeTimeouts, type Timeouts } from "./timeouts.ts";
import {
  familyOfVirtualServer,
  type ObservedVirtualServer,
  type VirtualServer,
  type VirtualServerKey,
  virtualServerName,
} from "./virtual-server.ts";
import { decodeVirtualServer, writeVirtualServerKey } from "./virtual-server-codec.ts";
import {
  commands,
  familyName,
  type IpvsCommand,
  type IpvsFamily,
  type IpvsRequest,
  ipvsRequest,
} from "./wire.ts";

/** Virtual servers whose real servers are read between two turns of the event loop: 2 ms of work. */
const dumpsPerTurn = 50;

/** IPVS itself never answers a request to read by this number: the family's number is no longer its own. */
const readCodes = { [errnos.ENOENT]: "unsupported" } as const;

/** A conversation with IPVS. It owns its connection and closes it with itself. */
export class IpvsClient implements Disposable {
  /** What the request functions need. It is out of date once the kernel's module was unloaded: open a new client. */
  readonly family: IpvsFamily;
  readonly #connection: NetlinkConnection;

  /**
   * Finds IPVS; the kernel loads its module.
   *
   * @param connection Of protocol "generic".
   * @throws {KernelError} "unsupported" if the kernel has no IPVS.
   */
  constructor(connection: NetlinkConnection) {
    this.#connection = connection;
    this.family = findFamily(connection, familyName);
  }

  /**
   * Sends requests, several to a datagram; see `NetlinkConnection.transact`.
   *
   * @returns One outcome per request, in order; what a request tolerates has no error.
   */
  transact(requests: readonly IpvsRequest[]): readonly NetlinkOutcome[] {
    return this.#connection
      .transact(requests)
      .map((outcome, index) => forgiven(outcome, requests[index]?.tolerated));
  }

  /**
   * The same for long lists: takes requests as they are needed and lets the event loop run in between; see
   * `NetlinkConnection.transactEach`.
   */
  async transactEach(
    requests: Iterable<IpvsRequest>,
    visit: (outcome: NetlinkOutcome, index: number) => void,
  ): Promise<void> {
    // Requests are taken a few batches ahead of their outcomes, which come in the same order.
    const tolerances: IpvsRequest["tolerated"][] = [];
    const noted = function* (): Generator<IpvsRequest> {
      for (const request of requests) {
        tolerances.push(request.tolerated);
        yield request;
      }
    };
    await this.#connection.transactEach(noted(), (outcome, index) =>
      visit(forgiven(outcome, tolerances.shift()), index),
    );
  }

  /** All virtual servers, in the kernel's order, which is none. */
  listVirtualServers(options: StatisticsOption = {}): Promise<readonly ObservedVirtualServer[]> {
    const command = { operation: "list virtual servers", command: commands.getService };
    return this.#collect(command, undefined, (message) => decodeVirtualServer(message, options));
  }

  /** One virtual server, or undefined if there is none. */
  findVirtualServer(
    key: VirtualServerKey,
    options: StatisticsOption = {},
  ): ObservedVirtualServer | undefined {
    const command = {
      operation: `read virtual server ${virtualServerName(key)}`,
      command: commands.getService,
    };
    try {
      return this.#ask(command, key, (message) => decodeVirtualServer(message, options));
    } catch (error) {
      if (isKernelError(error, "not-found")) return undefined;
      throw error;
    }
  }

  /** The real servers of a virtual server, last added first. None, too, if there is no such virtual server. */
  listRealServers(
    key: VirtualServerKey,
    options: StatisticsOption = {},
  ): Promise<readonly ObservedRealServer[]> {
    const family = familyOfVirtualServer(key);
    const command = {
      operation: `list the real servers of virtual server ${virtualServerName(key)}`,
      command: commands.getDestination,
    };
    return this.#collect(command, key, (message) => decodeRealServer(message, family, options));
  }

  /**
   * Everything: one dump of the virtual servers, and one for the real servers of each, since an answer does not say
   * whose they are. A virtual server that is deleted meanwhile may be listed without real servers.
   */
  async listAll(options: StatisticsOption = {}): Promise<readonly ObservedTableEntry[]> {
    const entries: ObservedTableEntry[] = [];
    for (const server of await this.listVirtualServers(options)) {
      // A short dump never lets the event loop run by itself.
      if (entries.length % dumpsPerTurn === dumpsPerTurn - 1) await turnOfEventLoop();
      entries.push({ server, realServers: await this.listRealServers(server, options) });
    }
    return entries;
  }

  /** @throws {KernelError} See requests.ts; so for all methods below. */
  addVirtualServer(server: VirtualServer, options: ToleranceOption = {}): void {
    this.#do(addVirtualServerRequest(this.family, server, options));
  }

  /** Sets a virtual server up anew; it keeps its real servers. */
  editVirtualServer(server: VirtualServer): void {
    this.#do(editVirtualServerRequest(this.family, server));
  }

  /** Deletes a virtual server and its real servers. */
  deleteVirtualServer(key: VirtualServerKey, options: ToleranceOption = {}): void {
    this.#do(deleteVirtualServerRequest(this.family, key, options));
  }

  /** Adds a real server to a virtual server. */
  addRealServer(virtual: VirtualServerKey, server: RealServer, options: ToleranceOption = {}): void {
    this.#do(addRealServerRequest(this.family, virtual, server, options));
  }

  /** Sets a real server up anew; with weight 0 it gets no new connections. */
  editRealServer(virtual: VirtualServerKey, server: RealServer): void {
    this.#do(editRealServerRequest(this.family, virtual, server));
  }

  /** Deletes a real server from a virtual server. */
  deleteRealServer(virtual: VirtualServerKey, key: RealServerKey, options: ToleranceOption = {}): void {
    this.#do(deleteRealServerRequest(this.family, virtual, key, options));
  }

  /** Version and table size. */
  getInfo(): IpvsInfo {
    const command = { operation: "read the version of IPVS", command: commands.getInfo };
    return this.#ask(command, undefined, decodeInfo);
  }

  /** The timeouts of silent connections. */
  getTimeouts(): Timeouts {
    const command = { operation: "read the timeouts of IPVS", command: commands.getConfig };
    return this.#ask(command, undefined, decodeTimeouts);
  }

  /** Sets timeouts; those that are 0 or absent stay as they are. */
  setTimeouts(timeouts: Partial<Timeouts>): void {
    this.#do(setTimeoutsRequest(this.family, timeouts));
  }

  /** Zeroes the counters of one virtual server and its real servers, or of all. */
  zero(key?: VirtualServerKey): void {
    this.#do(zeroRequest(this.family, key));
  }

  /**
   * Deletes **every** virtual server of the network namespace, those of other programs too. There is hardly ever a
   * reason to: delete what you have made.
   */
  flush(): void {
    this.#do(flushRequest(this.family));
  }

  /** The sync daemons that run: none, one, or one of each role. */
  listDaemons(): Promise<readonly SyncDaemon[]> {
    const command = { operation: "list sync daemons", command: commands.getDaemon };
    return this.#collect(command, undefined, decodeDaemon);
  }

  /** Starts a sync daemon. */
  startDaemon(daemon: SyncDaemon, options: ToleranceOption = {}): void {
    this.#do(startDaemonRequest(this.family, daemon, options));
  }

  /** Stops the sync daemon of a role. */
  stopDaemon(role: SyncRole, options: ToleranceOption = {}): void {
    try {
      this.#do(stopDaemonRequest(this.family, role, options));
    } catch (error) {
      // A daemon whose thread has not yet run is stopped with EINTR (kthread_stop), the one number that netlink never
      // answers (netlink_rcv_skb). Asked again, the kernel says that it is gone.
      if (!isKernelError(error, "lost")) throw error;
      this.#do(stopDaemonRequest(this.family, role, { tolerant: true }));
    }
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  #do(request: IpvsRequest): void {
    const [outcome] = this.transact([request]);
    if (outcome?.error !== undefined) throw outcome.error;
  }

  /** Sends a request to read that is answered by one message. */
  #ask<Answer>(
    command: IpvsCommand,
    key: VirtualServerKey | undefined,
    decode: (message: NetlinkMessage) => Answer | undefined,
  ): Answer {
    for (const message of transactOne(this.#connection, this.#readRequest(command, key))) {
      const answer = decode(message);
      if (answer !== undefined) return answer;
    }
    throw new KernelError("truncated", command.operation, { detail: "the answer is empty" });
  }

  #collect<Entry>(
    command: IpvsCommand,
    key: VirtualServerKey | undefined,
    decode: (message: NetlinkMessage) => Entry | undefined,
  ): Promise<readonly Entry[]> {
    return collectDump(this.#connection, this.#readRequest(command, key), decode);
  }

  #readRequest(command: IpvsCommand, key: VirtualServerKey | undefined): IpvsRequest {
    return ipvsRequest(this.family, { ...command, codes: readCodes }, (writer) => {
      if (key !== undefined) writeVirtualServerKey(writer, key);
    });
  }
}

/** The outcome without an error that the request tolerates. */
function forgiven(outcome: NetlinkOutcome, tolerated: IpvsRequest["tolerated"]): NetlinkOutcome {
  if (outcome.error === undefined || tolerated?.includes(outcome.error.code) !== true) return outcome;
  return { ...outcome, error: undefined };
}

function turnOfEventLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
