/**
 * Objects from a folder of manifests: YAML or JSON, several documents in a file, Lists included.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { Json } from "../json.ts";
import { isJsonObject, objectsAt, stringAt } from "../json.ts";

/**
 * Reads all manifests of a folder, in the order of the file names; other files and subfolders are left out.
 *
 * @throws Error that names the file for what does not parse
 */
export function readManifestDirectory(directory: string): readonly object[] {
  return readdirSync(directory)
    .filter((name) => /\.(ya?ml|json)$/.test(name))
    .sort()
    .flatMap((name) => parseManifests(readFileSync(join(directory, name), "utf8"), join(directory, name)));
}

/**
 * The objects in the text of a manifest; `source` names it in errors.
 *
 * @throws Error
 */
export function parseManifests(text: string, source: string): readonly object[] {
  return [...parseAllDocuments(text)].flatMap((document) => {
    const [problem] = document.errors;
    if (problem !== undefined)
      throw new Error(`Cannot read manifest ${source}: ${problem.message}`, { cause: problem });
    return flatten(document.toJS() as Json, source);
  });
}

function flatten(value: Json, source: string): readonly object[] {
  if (value === null) return [];
  if (!isJsonObject(value)) throw new Error(`Cannot read manifest ${source}: a document is not an object`);
  if (!stringAt(value, "kind").endsWith("List")) return [value];
  return objectsAt(value, "items").flatMap((item) => flatten(item, source));
}
