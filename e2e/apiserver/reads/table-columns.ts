/**
 * The columns that `kubectl get` shows for each kind, and the cells of an object.
 *
 * @module
 */
import type { Json, JsonObject } from "../json.ts";
import { arrayAt, isJsonObject, numberAt, objectAt, objectsAt, stringAt, stringsAt } from "../json.ts";
import type { CollectionName } from "../kinds/resources.ts";
import type { KubeObject } from "../objects.ts";
import { formatAge } from "./age.ts";

/** One column; `wide` ones are shown with `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer";
  readonly wide: boolean;
  /** The cell of an object in stored form; `now` in milliseconds since the epoch. */
  readonly cell: (object: KubeObject, now: number) => Json;
}

type Cell = Column["cell"];

function column(name: string, cell: Cell): Column {
  return { name, type: "string", wide: false, cell };
}

function wide(name: string, cell: Cell): Column {
  return { name, type: "string", wide: true, cell };
}

function integer(name: string, cell: Cell): Column {
  return { name, type: "integer", wide: false, cell };
}

const nameColumn = column("Name", ({ metadata }) => metadata.name ?? "");
const ageColumn = column("Age", ({ metadata }, now) => formatAge(metadata.creationTimestamp ?? "", now));

/** The columns of kinds without their own. */
const plain: readonly Column[] = [nameColumn, ageColumn];

const byCollection: Readonly<Partial<Record<CollectionName, readonly Column[]>>> = {
  services: [
    nameColumn,
    column("Type", (service) => stringAt(objectAt(service, "spec"), "type")),
    column("Cluster-IP", (service) => orNone(stringAt(objectAt(service, "spec"), "clusterIP"))),
    column("External-IP", externalAddresses),
    column("Port(s)", (service) => orNone(servicePorts(service))),
    ageColumn,
    wide("Selector", (service) => orNone(keyValues(objectAt(objectAt(service, "spec"), "selector")))),
  ],
  endpointslices: [
    nameColumn,
    column("AddressType", (slice) => stringAt(slice, "addressType")),
    column("Ports", (slice) => firstThree(objectsAt(slice, "ports").map((port) => port["port"] ?? "*"))),
    column("Endpoints", (slice) => firstThree(sliceAddresses(slice))),
    ageColumn,
  ],
  nodes: [
    nameColumn,
    column("Status", nodeStatus),
    column("Roles", nodeRoles),
    ageColumn,
    column("Version", (node) => nodeInfo(node, "kubeletVersion")),
    wide("Internal-IP", (node) => nodeAddress(node, "InternalIP")),
    wide("External-IP", (node) => nodeAddress(node, "ExternalIP")),
    wide("OS-Image", (node) => orUnknown(nodeInfo(node, "osImage"))),
    wide("Kernel-Version", (node) => orUnknown(nodeInfo(node, "kernelVersion"))),
    wide("Container-Runtime", (node) => orUnknown(nodeInfo(node, "containerRuntimeVersion"))),
  ],
  configmaps: [
    nameColumn,
    integer("Data", (one) => keyCount(objectAt(one, "data")) + keyCount(objectAt(one, "binaryData"))),
    ageColumn,
  ],
  events: [
    column("Last Seen", (event, now) => formatAge(lastSeen(event), now)),
    column("Type", (event) => stringAt(event, "type")),
    column("Reason", (event) => stringAt(event, "reason")),
    column("Object", involvedObject),
    wide("Subobject", (event) => stringAt(objectAt(event, "involvedObject"), "fieldPath")),
    wide("Source", eventSource),
    column("Message", (event) => stringAt(event, "message").trim()),
    wide("First Seen", (event, now) => formatAge(firstSeen(event), now)),
    wide("Count", eventCount),
    wide("Name", ({ metadata }) => metadata.name ?? ""),
  ],
  pods: [
    nameColumn,
    column("Ready", podReadiness),
    column("Status", (pod) => stringAt(objectAt(pod, "status"), "phase")),
    column("Restarts", (pod) => String(podRestarts(pod))),
    ageColumn,
    wide("IP", (pod) => orNone(stringAt(objectAt(pod, "status"), "podIP"))),
    wide("Node", (pod) => orNone(stringAt(objectAt(pod, "spec"), "nodeName"))),
  ],
  namespaces: [nameColumn, column("Status", (one) => stringAt(objectAt(one, "status"), "phase")), ageColumn],
  endpoints: [nameColumn, column("Endpoints", endpointsCell), ageColumn],
};

/** The columns of a collection, in order. */
export function tableColumns(collection: CollectionName): readonly Column[] {
  return byCollection[collection] ?? plain;
}

function orNone(text: string): string {
  return text === "" ? "<none>" : text;
}

function orUnknown(text: string): string {
  return text === "" ? "<unknown>" : text;
}

function keyCount(map: JsonObject): number {
  return Object.keys(map).length;
}

function keyValues(map: JsonObject): string {
  return Object.keys(map)
    .sort()
    .map((key) => `${key}=${map[key]}`)
    .join(",");
}

/** Long lists are cut, as the cell is meant for a line of a terminal. */
function firstThree(values: readonly Json[]): string {
  if (values.length === 0) return "<unset>";
  const shown = values.slice(0, 3).join(",");
  return values.length > 3 ? `${shown} + ${values.length - 3} more...` : shown;
}

function externalAddresses(service: KubeObject): string {
  const spec = objectAt(service, "spec");
  const external = stringsAt(spec, "externalIPs");
  switch (stringAt(spec, "type")) {
    case "ExternalName":
      return stringAt(spec, "externalName");
    case "LoadBalancer": {
      const ingress = objectsAt(objectAt(objectAt(service, "status"), "loadBalancer"), "ingress");
      const balanced = ingress.map((one) => stringAt(one, "ip") || stringAt(one, "hostname"));
      return [...balanced, ...external].join(",") || "<pending>";
    }
    default:
      return orNone(external.join(","));
  }
}

function servicePorts(service: KubeObject): string {
  return objectsAt(objectAt(service, "spec"), "ports")
    .map((port) => {
      const nodePort = numberAt(port, "nodePort") ?? 0;
      const number = nodePort === 0 ? `${port["port"]}` : `${port["port"]}:${nodePort}`;
      return `${number}/${stringAt(port, "protocol")}`;
    })
    .join(",");
}

function sliceAddresses(slice: KubeObject): readonly Json[] {
  return objectsAt(slice, "endpoints").flatMap((endpoint) => arrayAt(endpoint, "addresses"));
}

function endpointsCell(endpoints: KubeObject): string {
  const all = objectsAt(endpoints, "subsets").flatMap((subset) => {
    const ports = objectsAt(subset, "ports").map((port) => port["port"] ?? 0);
    const addresses = objectsAt(subset, "addresses").map((address) => stringAt(address, "ip"));
    return addresses.flatMap((address) => ports.map((port) => `${address}:${port}`));
  });
  return all.length === 0 ? "<none>" : firstThree(all);
}

function nodeStatus(node: KubeObject): string {
  const conditions = objectsAt(objectAt(node, "status"), "conditions");
  const ready = conditions.find((condition) => condition["type"] === "Ready");
  const state = ready === undefined ? "Unknown" : ready["status"] === "True" ? "Ready" : "NotReady";
  return objectAt(node, "spec")["unschedulable"] === true ? `${state},SchedulingDisabled` : state;
}

function nodeRoles(node: KubeObject): string {
  const prefix = "node-role.kubernetes.io/";
  const roles = Object.keys(node.metadata.labels ?? {})
    .filter((label) => label.startsWith(prefix))
    .map((label) => label.slice(prefix.length));
  return orNone(roles.sort().join(","));
}

function nodeInfo(node: KubeObject, field: string): string {
  return stringAt(objectAt(objectAt(node, "status"), "nodeInfo"), field);
}

function nodeAddress(node: KubeObject, type: string): string {
  const addresses = objectsAt(objectAt(node, "status"), "addresses");
  return orNone(stringAt(addresses.find((address) => address["type"] === type) ?? {}, "address"));
}

function podReadiness(pod: KubeObject): string {
  const ready = containerStatuses(pod).filter((status) => status["ready"] === true).length;
  return `${ready}/${arrayAt(objectAt(pod, "spec"), "containers").length}`;
}

function podRestarts(pod: KubeObject): number {
  return containerStatuses(pod).reduce((sum, status) => sum + (numberAt(status, "restartCount") ?? 0), 0);
}

function containerStatuses(pod: KubeObject): readonly JsonObject[] {
  return objectsAt(objectAt(pod, "status"), "containerStatuses");
}

function involvedObject(event: KubeObject): string {
  const involved = objectAt(event, "involvedObject");
  return `${stringAt(involved, "kind").toLowerCase()}/${stringAt(involved, "name")}`;
}

function eventSource(event: KubeObject): string {
  const source = objectAt(event, "source");
  const component = stringAt(source, "component") || stringAt(event, "reportingComponent");
  const host = stringAt(source, "host");
  return host === "" ? component : `${component}, ${host}`;
}

function firstSeen(event: KubeObject): string {
  return stringAt(event, "firstTimestamp") || stringAt(event, "eventTime");
}

function lastSeen(event: KubeObject): string {
  const series = event["series"];
  if (isJsonObject(series)) return stringAt(series, "lastObservedTime");
  return stringAt(event, "lastTimestamp") || firstSeen(event);
}

function eventCount(event: KubeObject): number {
  const series = event["series"];
  if (isJsonObject(series)) return numberAt(series, "count") ?? 1;
  return numberAt(event, "count") ?? 1;
}
