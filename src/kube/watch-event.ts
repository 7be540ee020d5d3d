/**
 * One line of a watch as a value.
 *
 * Pure. A line that cannot be understood is a value too: the caller ends the stream, for a line skipped in silence
 * might have been a deletion.
 *
 * @module
 */
import { type ApiStatus, readStatus } from "./api-status.ts";
import { asRecord, type JsonRecord } from "./fields.ts";

/** What a line of a watch says. */
export type WatchEvent =
  | {
      readonly type: "ADDED" | "MODIFIED" | "DELETED";
      readonly object: JsonRecord;
      /** The object's version: how far the stream has come. `""` when absent. */
      readonly version: string;
    }
  | {
      readonly type: "BOOKMARK";
      readonly version: string;
      /** Whether it ends the initial objects of a watch that was opened with `sendInitialEvents`. */
      readonly endsInitial: boolean;
    }
  | { readonly type: "ERROR"; readonly status: ApiStatus }
  | { readonly type: "garbled"; readonly detail: string };

const initialEndAnnotation = "k8s.io/initial-events-end";

/** Reads one line. Never throws. */
export function parseWatchEvent(line: Uint8Array): WatchEvent {
  const json = parseJson(line);
  if (json instanceof Error) {
    return { type: "garbled", detail: json.message };
  }
  const event = asRecord(json);
  const type = event?.["type"];
  const object = asRecord(event?.["object"]);
  if (object === undefined) {
    return { type: "garbled", detail: "the event has no object" };
  }
  const metadata = asRecord(object["metadata"]);
  const versionField = metadata?.["resourceVersion"];
  const version = typeof versionField === "string" ? versionField : "";
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type, object, version };
    case "BOOKMARK": {
      const endsInitial = asRecord(metadata?.["annotations"])?.[initialEndAnnotation] === "true";
      return { type, version, endsInitial };
    }
    case "ERROR":
      return { type, status: readStatus(object) };
    default:
      return { type: "garbled", detail: "the event has no known type" };
  }
}

/** The JSON value in UTF-8 bytes, or the error that they are none. */
export function parseJson(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser quotes the input; a log needs only the beginning.
    return new SyntaxError(`not JSON: ${error instanceof Error ? error.message.slice(0, 120) : ""}`);
  }
}
