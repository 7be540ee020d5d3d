/**
 * The faults of answers that are not watches.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import { DripSink, ResponseSink } from "./byte-sink.ts";
import type { FaultAction } from "./fault-action.ts";
import { findAction } from "./fault-action.ts";

/** Sends the body of a response whose headers are written, as the faults want it, and ends it. */
export function sendBody(response: ServerResponse, body: Buffer, actions: readonly FaultAction[]): void {
  if (findAction(actions, "silence") !== undefined) {
    response.flushHeaders();
    return;
  }
  const sent = findAction(actions, "malformed") === undefined ? body : spoiled(body);
  const drip = findAction(actions, "drip");
  const cut = findAction(actions, "cut") !== undefined;
  if (drip === undefined && !cut) {
    response.end(sent);
    return;
  }
  const plain = new ResponseSink(response);
  const sink = drip === undefined ? plain : new DripSink(plain, drip.bytesPerWrite, () => undefined);
  sink.write(cut ? sent.subarray(0, sent.length >>> 1) : sent);
  if (cut) sink.cut();
  else sink.end();
}

/** Same length, no JSON: the closing brace is gone. */
function spoiled(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  copy.fill(" ", copy.length - 1);
  return copy;
}
