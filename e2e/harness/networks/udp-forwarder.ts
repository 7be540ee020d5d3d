/**
 * The program of flannel's backend udp: `node udp-forwarder.ts OPTIONS`, as JSON. It prints a line when its device is there.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { openSync, read, writeSync } from "node:fs";
import { attachTunnel } from "../libc.ts";

/** What it is told. */
export interface TunnelOptions {
  readonly device: string;
  /** The node's own. */
  readonly address: string;
  /** Which node has the addresses that begin so. */
  readonly routes: readonly { readonly prefix: string; readonly to: string }[];
}

const port = 8285;

async function forward({ device, address, routes }: TunnelOptions): Promise<void> {
  const tunnel = openSync("/dev/net/tun", "r+");
  attachTunnel(tunnel, device);
  const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
  socket.bind(port, address);
  await once(socket, "listening");
  socket.on("message", (packet) => {
    try {
      writeSync(tunnel, packet);
    } catch {
      // The device is down; the packet is lost, as packets are.
    }
  });
  socket.on("error", () => undefined);
  process.stdout.write("ready\n");
  const next = (): void => {
    const packet = Buffer.allocUnsafe(2048);
    read(tunnel, packet, 0, packet.length, null, (error, length) => {
      if (error === null && length >= 20) {
        const destination = packet.subarray(16, 20).join(".");
        const to = routes.find(({ prefix }) => destination.startsWith(prefix))?.to;
        if (to !== undefined) socket.send(packet.subarray(0, length), port, to, () => undefined);
      }
      // Reading fails until the device is up.
      if (error === null) next();
      else setTimeout(next, 10);
    });
  };
  next();
}

const [, , options] = process.argv;
if (import.meta.main && options !== undefined) await forward(JSON.parse(options));
