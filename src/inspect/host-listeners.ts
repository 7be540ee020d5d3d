/**
 * Who listens at a port of this host.
 *
 * Edge. Looks through the open files of all processes, which only root sees.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { type Listener, listenerInode } from "./listeners.ts";

const commandLength = 120;

/** The process; null if nobody listens, undefined where that cannot be told. */
export function findListener(protocol: string, address: string, port: number): Listener | null | undefined {
  const name = protocol.toLowerCase();
  const lists = [name, `${name}6`].map((file) => textOf(`/proc/thread-self/net/${file}`));
  if (lists.every((list) => list === "")) return undefined;
  const inode = listenerInode(lists, protocol, address, port);
  if (inode === undefined) return null;
  const pid = namesIn("/proc").find((entry) => /^\d+$/.test(entry) && hasSocket(entry, inode));
  if (pid === undefined) return undefined;
  const command = textOf(`/proc/${pid}/cmdline`).split("\0").join(" ").trim();
  return { pid: Number(pid), command: command.slice(0, commandLength) };
}

function hasSocket(pid: string, inode: number): boolean {
  const folder = `/proc/${pid}/fd`;
  return namesIn(folder).some((entry) => linkOf(`${folder}/${entry}`) === `socket:[${inode}]`);
}

/** Processes end while they are looked at. */
function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
