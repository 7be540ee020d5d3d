/**
 * Content types: what a client accepts, and what it sent.
 *
 * @module
 */
import { parse as parseYaml } from "yaml";
import type { Json } from "../json.ts";
import { badRequest, notAcceptable, unsupportedMediaType } from "../status.ts";

/** How an answer is to be written. */
export type AnswerForm = "object" | "table";

/** One element of an Accept header. */
interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/**
 * Picks the first form of an Accept header that the server has: JSON objects or, for kubectl, tables.
 * Typed Go clients ask for protobuf first and take the JSON that they name after it.
 *
 * @param accept the header; absent means anything
 * @throws ApiError 406 when nothing in it is JSON
 */
export function negotiate(accept: string | undefined): AnswerForm {
  if (accept === undefined || accept.trim() === "") return "object";
  for (const { type, parameters } of parseAccept(accept)) {
    if (!["application/json", "application/*", "*/*"].includes(type)) continue;
    const as = parameters.get("as");
    if (as === undefined) return "object";
    if (as === "Table" && parameters.get("v") === "v1" && parameters.get("g") === "meta.k8s.io")
      return "table";
  }
  throw notAcceptable();
}

/** Whether an Accept header asks for aggregated discovery in the form that we have. */
export function acceptsAggregatedDiscovery(accept: string | undefined): boolean {
  return parseAccept(accept ?? "").some(
    ({ parameters }) => parameters.get("as") === "APIGroupDiscoveryList" && parameters.get("v") === "v2",
  );
}

function parseAccept(accept: string): readonly MediaRange[] {
  return accept.split(",").map((range) => {
    const [type = "", ...rest] = range.split(";").map((part) => part.trim());
    const pairs = rest.map((pair) => pair.split("=", 2));
    return { type, parameters: new Map(pairs.map(([key = "", value = ""]) => [key, value])) };
  });
}

/** A content type without its parameters. */
export function mediaType(header: string | undefined): string {
  return (header ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/**
 * Parses a request body. YAML includes JSON, so patches of type apply, whatever they contain, are read as YAML.
 *
 * @throws ApiError 400 for text that does not parse, 415 for other content types
 */
export function parseBody(contentType: string | undefined, body: Buffer): Json {
  const type = mediaType(contentType);
  if (type === "" || type.endsWith("json")) return parseWith(JSON.parse, body);
  if (type === "application/yaml" || type === "application/apply-patch+yaml")
    return parseWith(parseYaml, body);
  throw unsupportedMediaType(["application/json", "application/yaml"]);
}

function parseWith(parse: (text: string) => unknown, body: Buffer): Json {
  try {
    return parse(body.toString()) as Json;
  } catch (error) {
    throw badRequest(
      `the body of the request cannot be decoded: ${error instanceof Error ? error.message : error}`,
    );
  }
}
