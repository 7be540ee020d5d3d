/**
 * Objects as rows of a Table of meta.k8s.io/v1, which is what `kubectl get` asks for.
 *
 * Rows are made object by object, for every reader anew: nothing but a person at a terminal asks for them.
 *
 * @module
 */
import type { Clock } from "../clock.ts";
import type { Json, JsonObject } from "../json.ts";
import type { Resource } from "../kinds/resources.ts";
import { storageResource } from "../kinds/resources.ts";
import { shownObject } from "../storage/faces.ts";
import type { StoredObject } from "../storage/stored-object.ts";
import { thawObject } from "../storage/stored-object.ts";
import type { ObjectFormat } from "./object-format.ts";
import { listMetadata } from "./object-format.ts";
import type { Page } from "./page.ts";
import type { SeenChange } from "./selection.ts";
import { tableColumns } from "./table-columns.ts";

/** What accompanies the cells of a row. */
export type IncludeObject = "None" | "Metadata" | "Object";

/** Tables; one instance for each request, since a watch sends the column definitions only once. */
export class TableFormat implements ObjectFormat {
  readonly #resource: Resource;
  readonly #include: IncludeObject;
  readonly #clock: Clock;
  #described = false;

  constructor(resource: Resource, include: IncludeObject, clock: Clock) {
    this.#resource = resource;
    this.#include = include;
    this.#clock = clock;
  }

  single(object: StoredObject): Buffer {
    return toBuffer(this.#table({ resourceVersion: String(object.version) }, [object]));
  }

  list(page: Page): Buffer {
    return toBuffer(this.#table(listMetadata(page), page.objects));
  }

  event({ type, object }: SeenChange): Buffer {
    return toLine(type, this.#table({ resourceVersion: String(object.version) }, [object]));
  }

  bookmark(version: number, endsInitialState: boolean): Buffer {
    const annotations = endsInitialState ? { "k8s.io/initial-events-end": "true" } : undefined;
    return toLine("BOOKMARK", this.#table({ resourceVersion: String(version), annotations }, []));
  }

  #table(metadata: JsonObject, objects: readonly StoredObject[]): JsonObject {
    return {
      kind: "Table",
      apiVersion: "meta.k8s.io/v1",
      metadata,
      columnDefinitions: this.#definitions(),
      rows: objects.map((object) => this.#row(object)),
    };
  }

  #definitions(): Json {
    if (this.#described) return null;
    this.#described = true;
    return tableColumns(this.#resource.collection).map(({ name, type, wide }) => ({
      name,
      type,
      format: name === "Name" ? "name" : "",
      description: "",
      priority: wide ? 1 : 0,
    }));
  }

  #row(stored: StoredObject): JsonObject {
    const object = thawObject(storageResource(this.#resource.collection), stored);
    const now = this.#clock.now();
    const cells = tableColumns(this.#resource.collection).map(({ cell }) => cell(object, now));
    return { cells, object: this.#rowObject(stored) };
  }

  #rowObject(stored: StoredObject): JsonObject | undefined {
    if (this.#include === "None") return undefined;
    const shown = shownObject(this.#resource, stored);
    if (this.#include === "Object") return shown;
    return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: shown.metadata };
  }
}

function toBuffer(table: JsonObject): Buffer {
  return Buffer.from(JSON.stringify(table));
}

function toLine(type: string, object: JsonObject): Buffer {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`);
}
