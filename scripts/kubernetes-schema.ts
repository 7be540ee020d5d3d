/**
 * Checks an object against Kubernetes' API types: unknown fields, wrong types, missing required fields.
 *
 * The types are those of the client library that the program uses, which is generated from Kubernetes' OpenAPI: field names and
 * types are in its code, what is required in its declarations. So nothing is fetched, and the schemas are of the release
 * that the program is made for. Formats, ranges and enumerations are not checked.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

interface Attribute {
  readonly name: string;
  readonly baseName: string;
  readonly type: string;
}

interface Model {
  readonly attributes: readonly Attribute[];
  readonly required: ReadonlySet<string>;
}

const require = createRequire(import.meta.url);
const models = path.join(path.dirname(require.resolve("@kubernetes/client-node")), "gen/models");
const known = new Map<string, Model>();

/** Everything that is wrong with the object, each as `path: what`. */
export async function schemaProblems(object: unknown): Promise<readonly string[]> {
  const { apiVersion, kind } = (object ?? {}) as { readonly apiVersion?: string; readonly kind?: string };
  if (apiVersion === undefined || kind === undefined) {
    return ["apiVersion and kind: missing"];
  }
  const version = apiVersion.slice(apiVersion.lastIndexOf("/") + 1);
  const name = `${version[0]?.toUpperCase()}${version.slice(1)}${kind}`;
  try {
    await modelOf(name);
  } catch {
    return [`kind: there is no ${apiVersion} ${kind}`];
  }
  return await problemsOf(object, name, "");
}

async function problemsOf(value: unknown, type: string, at: string): Promise<readonly string[]> {
  const [, item] = /^Array<(.+)>$/.exec(type) ?? [];
  if (item !== undefined) {
    return Array.isArray(value)
      ? await all(value.map((one, index) => problemsOf(one, item, `${at}[${index}]`)))
      : [wrong(at, "a list", value)];
  }
  const [, entry] = /^\{ \[key: string\]: (.+); \}$/.exec(type) ?? [];
  if (entry !== undefined) {
    return isObject(value)
      ? await all(Object.entries(value).map(([key, one]) => problemsOf(one, entry, `${at}.${key}`)))
      : [wrong(at, "a map", value)];
  }
  switch (type) {
    case "any":
      return [];
    case "IntOrString":
      return typeof value === "string" || Number.isInteger(value)
        ? []
        : [wrong(at, "a number or text", value)];
    case "string":
    case "number":
    case "boolean":
      return typeof value === type ? [] : [wrong(at, `a ${type}`, value)];
    case "Date":
    case "V1MicroTime":
      return typeof value === "string" ? [] : [wrong(at, "a time", value)];
    default:
      return isObject(value)
        ? await objectProblems(value, await modelOf(type), at)
        : [wrong(at, "an object", value)];
  }
}

async function objectProblems(
  value: Readonly<Record<string, unknown>>,
  { attributes, required }: Model,
  at: string,
): Promise<readonly string[]> {
  const fields = new Map(attributes.map((one) => [one.baseName, one]));
  const missing = attributes.filter(
    ({ name, baseName }) => required.has(name) && value[baseName] === undefined,
  );
  const inside = Object.entries(value).map(([key, one]) => {
    const field = fields.get(key);
    return field === undefined
      ? Promise.resolve([`${at}.${key}: unknown field`])
      : problemsOf(one, field.type, `${at}.${key}`);
  });
  return [...missing.map(({ baseName }) => `${at}.${baseName}: missing`), ...(await all(inside))];
}

async function modelOf(name: string): Promise<Model> {
  const before = known.get(name);
  if (before !== undefined) {
    return before;
  }
  const file = path.join(models, `${name}.js`);
  const declared = readFileSync(path.join(models, `${name}.d.ts`), "utf8");
  const loaded = (await import(pathToFileURL(file).href)) as Readonly<
    Record<string, { readonly attributeTypeMap: readonly Attribute[] }>
  >;
  const model: Model = {
    attributes: loaded[name]?.attributeTypeMap ?? [],
    required: new Set([...declared.matchAll(/^ {4}'(\w+)': /gm)].map(([, field = ""]) => field)),
  };
  known.set(name, model);
  return model;
}

async function all(lists: readonly Promise<readonly string[]>[]): Promise<readonly string[]> {
  return (await Promise.all(lists)).flat();
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(at: string, expected: string, value: unknown): string {
  return `${at}: expected ${expected}, got ${JSON.stringify(value)}`;
}
