/**
 * Reads the configuration file: the only place of this folder that touches the outside.
 *
 * @module
 */
import { open } from "node:fs/promises";
import { maxConfigBytes } from "./decode-config.ts";

/**
 * The bytes of a file, but never more than one above the limit: the decoder then refuses it by its length, and a
 * device or a file without end cannot fill the memory. Rejects with the system's error.
 */
export async function readConfigFile(path: string): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const buffer = new Uint8Array(maxConfigBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) {
        break;
      }
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
}
