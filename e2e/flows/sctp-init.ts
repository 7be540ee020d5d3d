/**
 * The first packet of an SCTP association, for kernels whose netfilter knows SCTP but which have no SCTP sockets.
 *
 * @module
 */

/** CRC-32C (Castagnoli), which RFC 9260 appendix A prescribes for SCTP. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const INIT_CHUNK_LENGTH = 20;

/** A packet with an INIT chunk: RFC 9260 sections 3.1 and 3.3.2. Connection tracking drops wrong checksums. */
export function sctpInit(sourcePort: number, destinationPort: number): Buffer {
  const packet = Buffer.alloc(12 + INIT_CHUNK_LENGTH);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(destinationPort, 2);
  // The verification tag at 4 is 0 in an INIT; the checksum at 8 is computed over zeros in its place.
  packet.writeUInt8(1, 12); // chunk type INIT
  packet.writeUInt16BE(INIT_CHUNK_LENGTH, 14);
  packet.writeUInt32BE(sourcePort + 1, 16); // initiate tag: anything but 0
  packet.writeUInt32BE(65536, 20); // advertised receiver window
  packet.writeUInt16BE(1, 24); // outbound streams
  packet.writeUInt16BE(1, 26); // inbound streams
  packet.writeUInt32BE(1, 28); // initial TSN
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
}
