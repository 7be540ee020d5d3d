/**
 * Requests that change IPVS: one function for each thing that can be done.
 *
 * Pure. A request can be sent alone or in a batch with hundreds of others; each has an outcome of its own, and the
 * error of one that failed names what was attempted. The kernel carries a batch out in order, so a virtual server and
 * its real servers can share one.
 *
 * What refusals mean
 * - "exists": the server to be added is there already, however it is set up.
 * - "not-found": the server to be changed or deleted is not there, or the virtual server of a real server is not.
 * - "unsupported": the kernel lacks the scheduler or the persistence engine that the error names, or IPv6.
 * - "rejected": an address that is no unicast address, a lower threshold above the upper one, a real server of another
 *   family without a tunnel.
 *
 * Adding and deleting can be made tolerant: then "already there" and "already gone" are successes for
 * `IpvsClient.transact`. Note that what is already there may be set up differently.
 *
 * @module
 */
import { type ErrnoCodes, errnos } from "../../netlink/kernel-error.ts";
import { type RealServer, type RealServerKey, realServerName } from "./real-server.ts";
import { writeRealServer, writeRealServerKey } from "./real-server-codec.ts";
import { type SyncDaemon, type SyncRole, writeDaemon, writeDaemonRole } from "./sync-daemon.ts";
import { type Timeouts, writeTimeouts } from "./timeouts.ts";
import {
  familyOfVirtualServer,
  type VirtualServer,
  type VirtualServerKey,
  virtualServerName,
} from "./virtual-server.ts";
import { writeVirtualServer, writeVirtualServerKey } from "./virtual-server-codec.ts";
import { commands, type IpvsFamily, type IpvsRequest, ipvsRequest } from "./wire.ts";

/** Whether "already so" is a success. */
export interface ToleranceOption {
  /** True: adding what is there, deleting what is not, succeeds. False by default. */
  readonly tolerant?: boolean;
}

/** A virtual server itself is reported by ESRCH, so ENOENT can only be one of its two modules. */
const moduleCodes: ErrnoCodes = { [errnos.ENOENT]: "unsupported" };

/** Adds a virtual server; the module of its scheduler is loaded if need be. */
export function addVirtualServerRequest(
  family: IpvsFamily,
  server: VirtualServer,
  options: ToleranceOption = {},
): IpvsRequest {
  return ipvsRequest(
    family,
    {
      operation: `add ${describeSetup(server)}`,
      command: commands.newService,
      codes: moduleCodes,
      ...toleranceOf(options, "exists"),
    },
    (writer) => writeVirtualServer(writer, server),
  );
}

/** Sets a virtual server up anew. It keeps its real servers, and connections go on. */
export function editVirtualServerRequest(family: IpvsFamily, server: VirtualServer): IpvsRequest {
  return ipvsRequest(
    family,
    { operation: `edit ${describeSetup(server)}`, command: commands.setService, codes: moduleCodes },
    (writer) => writeVirtualServer(writer, server),
  );
}

/**
 * Deletes a virtual server and its real servers at once. What becomes of open connections is a sysctl's choice: with
 * `net.ipv4.vs.expire_nodest_conn` 1 they are ended, else their packets are dropped.
 */
export function deleteVirtualServerRequest(
  family: IpvsFamily,
  key: VirtualServerKey,
  options: ToleranceOption = {},
): IpvsRequest {
  return ipvsRequest(
    family,
    {
      operation: `delete virtual server ${virtualServerName(key)}`,
      command: commands.deleteService,
      ...toleranceOf(options, "not-found"),
    },
    (writer) => writeVirtualServerKey(writer, key),
  );
}

/**
 * Adds a real server to a virtual server.
 *
 * @param options.tolerant Only that the real server is there is a success, not that the virtual server is absent.
 */
export function addRealServerRequest(
  family: IpvsFamily,
  virtual: VirtualServerKey,
  server: RealServer,
  options: ToleranceOption = {},
): IpvsRequest {
  return ipvsRequest(
    family,
    {
      operation: `add ${describeRealServer(virtual, server)}`,
      command: commands.newDestination,
      ...toleranceOf(options, "exists"),
    },
    (writer) => {
      writeVirtualServerKey(writer, virtual);
      writeRealServer(writer, familyOfVirtualServer(virtual), server);
    },
  );
}

/** Sets a real server up anew; connections stay. Weight 0 takes it out of service without ending them. */
export function editRealServerRequest(
  family: IpvsFamily,
  virtual: VirtualServerKey,
  server: RealServer,
): IpvsRequest {
  return ipvsRequest(
    family,
    { operation: `edit ${describeRealServer(virtual, server)}`, command: commands.setDestination },
    (writer) => {
      writeVirtualServerKey(writer, virtual);
      writeRealServer(writer, familyOfVirtualServer(virtual), server);
    },
  );
}

/**
 * Deletes a real server from a virtual server at once, with the same effect on open connections as
 * {@link deleteVirtualServerRequest}.
 *
 * @param options.tolerant It is a success as well if the virtual server is absent.
 */
export function deleteRealServerRequest(
  family: IpvsFamily,
  virtual: VirtualServerKey,
  key: RealServerKey,
  options: ToleranceOption = {},
): IpvsRequest {
  return ipvsRequest(
    family,
    {
      operation: `delete ${describeRealServer(virtual, key)}`,
      command: commands.deleteDestination,
      ...toleranceOf(options, "not-found"),
    },
    (writer) => {
      writeVirtualServerKey(writer, virtual);
      writeRealServerKey(writer, familyOfVirtualServer(virtual), key);
    },
  );
}

/** Zeroes the counters of one virtual server and its real servers, or of all. Connections do not count as counters. */
export function zeroRequest(family: IpvsFamily, key?: VirtualServerKey): IpvsRequest {
  const operation = `zero the counters of ${
    key === undefined ? "all virtual servers" : `virtual server ${virtualServerName(key)}`
  }`;
  return ipvsRequest(family, { operation, command: commands.zero }, (writer) => {
    if (key !== undefined) writeVirtualServerKey(writer, key);
  });
}

/**
 * Deletes **every** virtual server of the network namespace, whoever made it. Nothing undoes it.
 */
export function flushRequest(family: IpvsFamily): IpvsRequest {
  return ipvsRequest(family, { operation: "delete all virtual servers", command: commands.flush });
}

/** Sets timeouts; those that are 0 or absent stay as they are. */
export function setTimeoutsRequest(family: IpvsFamily, timeouts: Partial<Timeouts>): IpvsRequest {
  return ipvsRequest(
    family,
    { operation: "set the timeouts of IPVS", command: commands.setConfig },
    (writer) => writeTimeouts(writer, timeouts),
  );
}

/** Starts a sync daemon: "exists" if one of that role runs, "not-found" if there is no such interface. */
export function startDaemonRequest(
  family: IpvsFamily,
  daemon: SyncDaemon,
  options: ToleranceOption = {},
): IpvsRequest {
  return ipvsRequest(
    family,
    {
      operation: `start the ${daemon.role} sync daemon on interface ${daemon.interface}`,
      command: commands.newDaemon,
      ...toleranceOf(options, "exists"),
    },
    (writer) => writeDaemon(writer, daemon),
  );
}

/** Stops the sync daemon of a role: "not-found" if there is none. */
export function stopDaemonRequest(
  family: IpvsFamily,
  role: SyncRole,
  options: ToleranceOption = {},
): IpvsRequest {
  return ipvsRequest(
    family,
    {
      operation: `stop the ${role} sync daemon`,
      command: commands.deleteDaemon,
      ...toleranceOf(options, "not-found"),
    },
    (writer) => writeDaemonRole(writer, role),
  );
}

function toleranceOf(
  { tolerant = false }: ToleranceOption,
  code: "exists" | "not-found",
): Pick<IpvsRequest, "tolerated"> {
  return tolerant ? { tolerated: [code] } : {};
}

/** With what the kernel may not have, so that the error names it. */
function describeSetup(server: VirtualServer): string {
  const engine = server.persistence?.engine;
  const suffix = engine === undefined ? "" : ` and persistence engine ${engine}`;
  return `virtual server ${virtualServerName(server)} with scheduler ${server.scheduler}${suffix}`;
}

function describeRealServer(virtual: VirtualServerKey, server: RealServerKey): string {
  return `real server ${realServerName(server)} of virtual server ${virtualServerName(virtual)}`;
}
