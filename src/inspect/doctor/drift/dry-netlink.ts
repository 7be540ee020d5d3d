/**
 * A connection that passes on requests to read, and answers requests to change with success while it keeps what they were
 * to do.
 *
 * @module
 */
import type { NetlinkConnection, NetlinkOutcome, NetlinkRequest } from "../../../netlink/connection.ts";

/** Whether a request only reads. */
export type IsRead = (request: NetlinkRequest) => boolean;

/** The connection. It closes the one behind it. */
export class DryConnection implements NetlinkConnection {
  /** What was to be done, in the words of the requests: `add 10.96.0.10,tcp:80 to set KUBE-CLUSTER-IP`. */
  readonly operations: string[] = [];
  readonly #connection: NetlinkConnection;
  readonly #isRead: IsRead;

  constructor(connection: NetlinkConnection, isRead: IsRead) {
    this.#connection = connection;
    this.#isRead = isRead;
  }

  transact(requests: readonly NetlinkRequest[]): readonly NetlinkOutcome[] {
    return requests.map((request) => this.#one(request));
  }

  async transactEach(
    requests: Iterable<NetlinkRequest>,
    visit: (outcome: NetlinkOutcome, index: number) => void,
  ): Promise<void> {
    let index = 0;
    for (const request of requests) {
      visit(this.#one(request), index++);
    }
  }

  dump(request: NetlinkRequest, visit: Parameters<NetlinkConnection["dump"]>[1]): Promise<void> {
    return this.#connection.dump(request, visit);
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  #one(request: NetlinkRequest): NetlinkOutcome {
    if (!this.#isRead(request)) {
      this.operations.push(request.operation);
      return { error: undefined, messages: [], echo: undefined };
    }
    const [outcome] = this.#connection.transact([request]);
    if (outcome === undefined) {
      throw new TypeError(`Cannot ${request.operation}: the connection gave no outcome`);
    }
    return outcome;
  }
}

/** IPSET_CMD_LIST, the only command of ipset that reads and is used here; the command is the low byte of the type. */
const listSetsCommand = 7;

/** Commands of IPVS that read: service, destination, daemon, configuration, info. */
const ipvsReads: readonly number[] = [4, 8, 11, 13, 15];

/** CTRL_CMD_GETFAMILY, by which a family of generic netlink is found, and the type of the family that answers. */
const controlType = 16;

/** Message types of rtnetlink that read: every fourth, beginning with RTM_GETLINK. */
export const readsRoute: IsRead = ({ type }) => type % 4 === 2;

/** Requests of ipset that read. */
export const readsSets: IsRead = ({ type }) => (type & 0xff) === listSetsCommand;

/** Requests of generic netlink that read: of the controller, and of IPVS by the command in front of the payload. */
export const readsIpvs: IsRead = ({ type, payload }) =>
  type === controlType || ipvsReads.includes(payload[0] ?? 0);
