/**
 * How objects, lists and watch events are written: as JSON objects of their kind (here), or as table rows for kubectl
 * (table-format.ts).
 *
 * Nothing here serialises an object again: its bytes come from the store and get a few bytes around them.
 *
 * @module
 */
import type { JsonObject } from "../json.ts";
import type { Resource } from "../kinds/resources.ts";
import { groupVersion } from "../kinds/resources.ts";
import type { Status } from "../status.ts";
import { shownBody } from "../storage/faces.ts";
import type { StoredObject } from "../storage/stored-object.ts";
import type { Page } from "./page.ts";
import type { SeenChange } from "./selection.ts";

/** Writes the answers to reads. Lines end with a newline. */
export interface ObjectFormat {
  /** One object. */
  single(object: StoredObject): Buffer;
  /** A list. */
  list(page: Page): Buffer;
  /** A watch event. */
  event(change: SeenChange): Buffer;
  /** A bookmark; `endsInitialState` marks the end of the objects that were there at the start. */
  bookmark(version: number, endsInitialState: boolean): Buffer;
}

/** A watch event that reports a failure; the same in all formats. */
export function errorLine(status: Status): Buffer {
  return Buffer.from(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
}

/** The annotation that marks the end of the initial state. */
const initialEnd = { "k8s.io/initial-events-end": "true" };

/** Objects as JSON of their own kind. */
export class PlainFormat implements ObjectFormat {
  readonly #resource: Resource;
  /** Between the opening brace and the metadata: single objects say what they are. */
  readonly #identity: string;

  constructor(resource: Resource) {
    this.#resource = resource;
    this.#identity = `"kind":"${resource.kind}","apiVersion":"${groupVersion(resource)}",`;
  }

  single(object: StoredObject): Buffer {
    return Buffer.concat([Buffer.from(`{${this.#identity}`), shownBody(this.#resource, object)]);
  }

  list(page: Page): Buffer {
    const head = {
      kind: `${this.#resource.kind}List`,
      apiVersion: groupVersion(this.#resource),
      metadata: listMetadata(page),
    };
    const parts: Buffer[] = [Buffer.from(`${JSON.stringify(head).slice(0, -1)},"items":[`)];
    for (const [index, object] of page.objects.entries()) {
      parts.push(index === 0 ? openBrace : commaBrace, shownBody(this.#resource, object));
    }
    parts.push(Buffer.from("]}"));
    return Buffer.concat(parts);
  }

  event(change: SeenChange): Buffer {
    const head = Buffer.from(`{"type":"${change.type}","object":{${this.#identity}`);
    return Buffer.concat([head, shownBody(this.#resource, change.object), lineEnd]);
  }

  bookmark(version: number, endsInitialState: boolean): Buffer {
    const { kind, emptyFields } = this.#resource;
    const annotations = endsInitialState ? initialEnd : undefined;
    const metadata = { resourceVersion: String(version), creationTimestamp: null, annotations };
    const object = { kind, apiVersion: groupVersion(this.#resource), metadata, ...emptyFields };
    return Buffer.from(`${JSON.stringify({ type: "BOOKMARK", object })}\n`);
  }
}

/** `metadata` of a list. */
export function listMetadata(page: Page): JsonObject {
  return {
    resourceVersion: String(page.version),
    continue: page.continuation,
    remainingItemCount: page.remaining,
  };
}

const openBrace = Buffer.from("{");
const commaBrace = Buffer.from(",{");
const lineEnd = Buffer.from("}\n");
