/**
 * EndpointSlices: defaults and validation (API reference, `EndpointSlice` of discovery.k8s.io/v1).
 *
 * @module
 */
import type { FieldError } from "../field-errors.ts";
import {
  duplicateField,
  invalidField,
  requiredField,
  tooLongField,
  unsupportedField,
} from "../field-errors.ts";
import type { Json, JsonObject } from "../json.ts";
import { arrayAt, isJsonObject, objectsAt, stringAt } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import { addressFamily } from "./addresses.ts";
import { isDnsLabel, isDnsSubdomain } from "./names.ts";
import { isPortNumber, portNumberProblem, protocols } from "./service-port-validation.ts";

const addressTypes: readonly string[] = ["FQDN", "IPv4", "IPv6"];
const maxEndpoints = 1_000;
const maxAddresses = 100;
const maxPorts = 100;

/** The slice with the defaults of its ports. */
export function defaultEndpointSlice(slice: KubeObject): KubeObject {
  if (slice["ports"] === undefined) return slice;
  const ports = objectsAt(slice, "ports").map((port) => ({
    ...port,
    name: stringAt(port, "name"),
    protocol: stringAt(port, "protocol") || "TCP",
  }));
  return { ...slice, ports };
}

/** What is wrong with a slice. */
export function checkEndpointSlice(slice: KubeObject): readonly FieldError[] {
  const addressType = stringAt(slice, "addressType");
  if (addressType === "") return [requiredField("addressType")];
  if (!addressTypes.includes(addressType))
    return [unsupportedField("addressType", addressType, addressTypes)];
  return [...checkEndpoints(arrayAt(slice, "endpoints"), addressType), ...checkPorts(slice)];
}

/** The address type of a slice may not change. */
export function checkEndpointSliceUpdate(next: KubeObject, old: KubeObject): readonly FieldError[] {
  if (next["addressType"] === old["addressType"]) return [];
  return [invalidField("addressType", next["addressType"], "field is immutable")];
}

function checkEndpoints(endpoints: readonly Json[], addressType: string): readonly FieldError[] {
  if (endpoints.length > maxEndpoints) return [tooLongField("endpoints", maxEndpoints, "items")];
  return endpoints.flatMap((endpoint, index) => {
    const path = `endpoints[${index}]`;
    if (!isJsonObject(endpoint)) return [invalidField(path, endpoint, "must be an object")];
    return checkAddresses(`${path}.addresses`, arrayAt(endpoint, "addresses"), addressType);
  });
}

function checkAddresses(
  path: string,
  addresses: readonly Json[],
  addressType: string,
): readonly FieldError[] {
  if (addresses.length === 0) return [requiredField(path, "must contain at least 1 address")];
  if (addresses.length > maxAddresses) return [tooLongField(path, maxAddresses, "items")];
  return addresses.flatMap((address, index) => {
    const valid = typeof address === "string" && isOfType(address, addressType);
    return valid ? [] : [invalidField(`${path}[${index}]`, address, `must be a valid ${addressType} value`)];
  });
}

function isOfType(address: string, addressType: string): boolean {
  return addressType === "FQDN" ? isDnsSubdomain(address) : addressFamily(address) === addressType;
}

function checkPorts(slice: KubeObject): readonly FieldError[] {
  const ports = objectsAt(slice, "ports");
  if (ports.length > maxPorts) return [tooLongField("ports", maxPorts, "items")];
  const names = new Set<string>();
  return ports.flatMap((port, index) => checkPort(`ports[${index}]`, port, names));
}

function checkPort(path: string, port: JsonObject, names: Set<string>): readonly FieldError[] {
  const errors: FieldError[] = [];
  const name = stringAt(port, "name");
  if (name !== "" && !isDnsLabel(name)) {
    errors.push(invalidField(`${path}.name`, name, "must be a lowercase RFC 1123 label"));
  }
  if (names.has(name)) errors.push(duplicateField(`${path}.name`, name));
  names.add(name);
  const protocol = stringAt(port, "protocol");
  if (!protocols.includes(protocol)) errors.push(unsupportedField(`${path}.protocol`, protocol, protocols));
  const number = port["port"];
  if (number !== undefined && !isPortNumber(number)) {
    errors.push(invalidField(`${path}.port`, number, portNumberProblem));
  }
  return errors;
}
