/**
 * Validation of a Service's ports.
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import {
  duplicateField,
  forbiddenField,
  invalidField,
  requiredField,
  unsupportedField,
} from "../field-errors.ts";
import type { Json, JsonObject } from "../json.ts";
import { arrayAt, isJsonObject, stringAt } from "../json.ts";
import { isDnsLabel } from "./names.ts";
import { nodePortRange } from "./service-allocation.ts";
import { isHeadless, needsClusterIp, permitsNodePorts } from "./service-model.ts";

/** Protocols of ports, in Services and in EndpointSlices. */
export const protocols: readonly string[] = ["SCTP", "TCP", "UDP"];

/** RFC 6335 service name, as `targetPort` may be one. */
const portName = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]([a-z0-9]|-(?!-))*(?<!-)$/;

/** What is wrong with `spec.ports`. */
export function checkServicePorts(spec: JsonObject): readonly FieldError[] {
  const ports = arrayAt(spec, "ports");
  if (ports.length === 0) {
    return needsClusterIp(spec) && !isHeadless(spec) ? [requiredField("spec.ports")] : [];
  }
  const seenNames = new Set<string>();
  const seenPorts = new Set<string>();
  return ports.flatMap((port, index) => {
    const path = `spec.ports[${index}]`;
    if (!isJsonObject(port)) return [invalidField(path, port, "must be an object")];
    return [
      ...checkName(path, port, ports.length > 1, seenNames),
      ...checkNumbers(path, port),
      ...checkNodePort(path, port, spec),
      ...checkUnique(path, port, seenPorts),
    ];
  });
}

/** True for an integer from 1 to 65535. */
export function isPortNumber(value: Json | undefined): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** The message for a number that {@link isPortNumber} refuses. */
export const portNumberProblem = "must be between 1 and 65535, inclusive";

function checkName(
  path: string,
  port: JsonObject,
  needed: boolean,
  seen: Set<string>,
): readonly FieldError[] {
  const name = stringAt(port, "name");
  const field = `${path}.name`;
  if (name === "") return needed ? [requiredField(field)] : [];
  if (!isDnsLabel(name)) return [invalidField(field, name, "must be a lowercase RFC 1123 label")];
  if (seen.has(name)) return [duplicateField(field, name)];
  seen.add(name);
  return [];
}

function checkNumbers(path: string, port: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (!isPortNumber(port["port"])) errors.push(invalidField(`${path}.port`, port["port"], portNumberProblem));
  const protocol = port["protocol"];
  if (typeof protocol !== "string" || !protocols.includes(protocol)) {
    errors.push(unsupportedField(`${path}.protocol`, protocol, protocols));
  }
  const target = port["targetPort"];
  // A target port left to its default repeats the port, and what is wrong with that is said already.
  if (target === port["port"]) return errors;
  if (typeof target === "string" && !portName.test(target)) {
    errors.push(invalidField(`${path}.targetPort`, target, "must be a port name (RFC 6335)"));
  } else if (typeof target === "number" && !isPortNumber(target)) {
    errors.push(invalidField(`${path}.targetPort`, target, portNumberProblem));
  }
  return errors;
}

function checkNodePort(path: string, port: JsonObject, spec: JsonObject): readonly FieldError[] {
  const value = port["nodePort"] ?? 0;
  if (value === 0) return [];
  const field = `${path}.nodePort`;
  if (!permitsNodePorts(spec)) {
    return [forbiddenField(field, "may not be used when `type` is 'ClusterIP'")];
  }
  if (isPortNumber(value) && Number(value) >= nodePortRange.first && Number(value) <= nodePortRange.last)
    return [];
  const why = `provided port is not in the valid range. The range of valid ports is ${nodePortRange.first}-${nodePortRange.last}`;
  return [invalidField(field, value, why)];
}

function checkUnique(path: string, port: JsonObject, seen: Set<string>): readonly FieldError[] {
  const protocol = stringAt(port, "protocol");
  const key = `${protocol}/${port["port"]}`;
  const nodePort = port["nodePort"] ?? 0;
  const nodeKey = `${protocol}/node/${nodePort}`;
  const errors: FieldError[] = [];
  if (seen.has(key)) errors.push(duplicateField(path, { port: port["port"], protocol }));
  if (nodePort !== 0 && seen.has(nodeKey)) errors.push(duplicateField(`${path}.nodePort`, nodePort));
  seen.add(key);
  seen.add(nodeKey);
  return errors;
}
