/**
 * Sockets in the kernel's lists.
 *
 * @module
 */
import { expect, test } from "vitest";
import { listenerInode } from "./listeners.ts";

const head =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

const tcp = `${head}   0: 0100007F:7580 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41 1 0 100 0 0 10 0
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0 100 0 0 10 0
   2: 0100007F:1F91 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 43 1 0 20 4 30 10 -1
`;
const tcp6 = `${head}   0: 00000000000000000000000001000000:7580 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 51 1 0 100 0 0 10 0
   1: 00000000000000000000000000000000:1F92 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 52 1 0 100 0 0 10 0
`;
const udp = `${head}  10: 0100007F:7565 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 61 2 0 0
`;

test.each([
  ["TCP", "127.0.0.1", 30_080, 41],
  ["TCP", "127.0.0.1", 8080, 42],
  ["TCP", "127.0.0.1", 8081, undefined],
  ["TCP", "::1", 30_080, 51],
  ["TCP", "127.0.0.1", 8082, 52],
  ["UDP", "127.0.0.1", 30_053, 61],
  ["SCTP", "127.0.0.1", 30_080, undefined],
])("who listens at %s %s %i", (protocol, address, port, inode) => {
  const lists = protocol === "UDP" ? [udp] : [tcp, tcp6];
  expect(listenerInode(lists, protocol, address, port)).toBe(inode);
});

test("a socket of the very address goes before one of all addresses", () => {
  const any = tcp.replace("0100007F:7580", "00000000:7580").replace(" 41 ", " 40 ");
  expect(listenerInode([any, tcp], "TCP", "127.0.0.1", 30_080)).toBe(41);
});
