/**
 * Faults over HTTP, for servers that run as a process of their own. The path is one that no real server has.
 *
 * | request | does |
 * | --- | --- |
 * | `GET /__faults` | version, rules with their hits, open watches, requests by verb and resource |
 * | `POST /__faults` with a rule | adds it |
 * | `POST /__faults` with a command | carries it out |
 * | `DELETE /__faults` | takes out all rules |
 *
 * @module
 */
import type { Json, JsonObject } from "../json.ts";
import { isJsonObject, numberAt, stringAt } from "../json.ts";
import type { CollectionName } from "../kinds/resources.ts";
import { collectionNames } from "../kinds/resources.ts";
import { badRequest, methodNotAllowed } from "../status.ts";
import type { FaultAction, FaultRule } from "./fault-action.ts";
import type { Faults } from "./faults.ts";

/** The path of the control endpoint. */
export const controlPath = "/__faults";

/** A command as sent to the control endpoint. */
export type FaultCommand =
  | { readonly command: "end-streams" | "cut-streams"; readonly resource?: CollectionName }
  | { readonly command: "compact"; readonly version?: number }
  | { readonly command: "rewind"; readonly version: number }
  /** Needs a duration: nobody could end it, the control endpoint being refused as well. */
  | { readonly command: "refuse-connections"; readonly milliseconds: number };

/** What the control endpoint answers and what is to be done once the answer is out. */
export interface ControlResult {
  readonly answer: JsonObject;
  readonly afterwards?: () => void;
}

const actionKinds: Readonly<Record<FaultAction["kind"], true>> = {
  status: true,
  delay: true,
  "no-headers": true,
  silence: true,
  end: true,
  cut: true,
  malformed: true,
  drip: true,
  "old-server": true,
  "no-initial-events-end": true,
  "reorder-initial": true,
  "duplicate-initial": true,
  "expire-continue": true,
};

/**
 * Carries out a request to the control endpoint.
 *
 * @param body the parsed body of a POST
 * @param describe the state that GET reports beside the rules
 * @throws ApiError 400 for what it does not understand
 */
export function controlFaults(
  faults: Faults,
  method: string,
  body: Json | undefined,
  describe: () => JsonObject,
): ControlResult {
  switch (method) {
    case "GET":
      return { answer: { rules: faults.active() as unknown as Json, ...describe() } };
    case "DELETE":
      faults.clear();
      return { answer: {} };
    case "POST":
      if (!isJsonObject(body)) throw badRequest("a rule or a command is expected, as a JSON object");
      return body["command"] === undefined ? addRule(faults, body) : runCommand(faults, body);
    default:
      throw methodNotAllowed(method.toLowerCase(), "Faults");
  }
}

function addRule(faults: Faults, body: JsonObject): ControlResult {
  const action = body["action"];
  const kind = isJsonObject(action) ? stringAt(action, "kind") : "";
  if (!Object.hasOwn(actionKinds, kind)) {
    throw badRequest(`unknown fault action "${kind}", known are: ${Object.keys(actionKinds).join(", ")}`);
  }
  faults.add(body as unknown as FaultRule);
  return { answer: {} };
}

function runCommand(faults: Faults, body: JsonObject): ControlResult {
  const command = stringAt(body, "command");
  const collection = readCollection(body);
  switch (command) {
    case "end-streams":
      faults.endStreams(collection);
      return { answer: {} };
    case "cut-streams":
      faults.cutStreams(collection);
      return { answer: {} };
    case "compact":
      faults.compact(numberAt(body, "version"));
      return { answer: {} };
    case "rewind":
      return rewind(faults, readNumber(body, "version"));
    case "refuse-connections": {
      const milliseconds = readNumber(body, "milliseconds");
      return { answer: {}, afterwards: () => void faults.refuseConnections(milliseconds) };
    }
    default:
      throw badRequest(`unknown command "${command}"`);
  }
}

function rewind(faults: Faults, version: number): ControlResult {
  try {
    faults.rewind(version);
  } catch (error) {
    if (error instanceof RangeError) throw badRequest(error.message);
    throw error;
  }
  return { answer: {} };
}

function readNumber(body: JsonObject, field: string): number {
  const value = numberAt(body, field);
  if (value === undefined) throw badRequest(`the command needs a number "${field}"`);
  return value;
}

function readCollection(body: JsonObject): CollectionName | undefined {
  const resource = body["resource"];
  if (resource === undefined) return undefined;
  const found = collectionNames.find((name) => name === resource);
  if (found === undefined) throw badRequest(`unknown resource ${JSON.stringify(resource)}`);
  return found;
}
