/**
 * How long IPVS remembers connections that are silent.
 *
 * Pure. One set of three for all virtual servers of a network namespace. The states of a TCP connection that are not
 * named here have timeouts of their own that cannot be set.
 *
 * Source: IPVS_CMD_ATTR_TIMEOUT_ of linux/ip_vs.h; ipvsadm(8), `--set`.
 *
 * @module
 */
import type { AttributeWriter } from "../../netlink/attribute-writer.ts";
import type { NetlinkMessage } from "../../netlink/message.ts";
import { answerReader, commands, messageAttribute } from "./wire.ts";

/** The three timeouts, in seconds. */
export interface Timeouts {
  /** TCP connections that are open; the kernel's own value is 900. */
  readonly tcp: number;
  /** TCP connections after the first FIN; 120. */
  readonly tcpFin: number;
  /** UDP, since the last datagram; 300. */
  readonly udp: number;
}

/** Writes timeouts. Those that are 0 or absent stay as they are. */
export function writeTimeouts(writer: AttributeWriter, timeouts: Partial<Timeouts>): void {
  const { tcp = 0, tcpFin = 0, udp = 0 } = timeouts;
  writer
    .u32(messageAttribute.timeoutTcp, tcp)
    .u32(messageAttribute.timeoutTcpFin, tcpFin)
    .u32(messageAttribute.timeoutUdp, udp);
}

/**
 * Reads timeouts.
 *
 * @returns Undefined for a message of another command.
 * @throws {KernelError} "truncated"
 */
export function decodeTimeouts(message: NetlinkMessage): Timeouts | undefined {
  const reader = answerReader(message, commands.setConfig);
  if (reader === undefined) return undefined;
  let [tcp, tcpFin, udp] = [0, 0, 0];
  while (reader.next()) {
    switch (reader.type) {
      case messageAttribute.timeoutTcp:
        tcp = reader.u32();
        break;
      case messageAttribute.timeoutTcpFin:
        tcpFin = reader.u32();
        break;
      case messageAttribute.timeoutUdp:
        udp = reader.u32();
        break;
    }
  }
  reader.finish("read the timeouts of IPVS");
  return { tcp, tcpFin, udp };
}
