/**
 * Tests of the server on the loopback interface: requests and their answers.
 *
 * @module
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ManualClock } from "./clock.ts";
import type { JsonObject } from "./json.ts";
import { objectAt, objectsAt } from "./json.ts";
import type { ApiServer } from "./server.ts";
import { startApiServer } from "./server.ts";
import { configMapObject, send, serviceObject, sliceObject } from "./testing.ts";

const configMaps = "/api/v1/namespaces/default/configmaps";
const services = "/api/v1/namespaces/default/services";
const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

let server: ApiServer;
const clock = new ManualClock();

beforeAll(async () => {
  server = await startApiServer({ clock });
});

afterAll(() => server.close());

beforeEach(async () => {
  for (const path of [configMaps, services, slices]) await send("DELETE", server.url + path);
});

test("POST answers 201 with the object, GET and lists show it", async () => {
  const created = await send("POST", server.url + configMaps, configMapObject("a", { x: "1" }));
  expect(created).toMatchObject({
    status: 201,
    body: { kind: "ConfigMap", apiVersion: "v1", data: { x: "1" } },
  });
  expect(created.headers.get("content-type")).toBe("application/json");
  expect((await send("GET", `${server.url}${configMaps}/a`)).body).toEqual(created.body);
  const { kind: _kind, apiVersion: _apiVersion, ...item } = created.body;
  expect((await send("GET", `${server.url}/api/v1/configmaps`)).body).toEqual({
    kind: "ConfigMapList",
    apiVersion: "v1",
    metadata: { resourceVersion: server.store.version },
    items: [item],
  });
});

test("an empty list is a list", async () => {
  expect((await send("GET", server.url + slices)).body["items"]).toEqual([]);
});

test("PUT replaces, and creates a Service that is absent with 201", async () => {
  expect((await send("PUT", `${server.url}${services}/web`, serviceObject("web"))).status).toBe(201);
  expect((await send("PUT", `${server.url}${services}/web`, serviceObject("web"))).status).toBe(200);
  expect((await send("PUT", `${server.url}${configMaps}/a`, configMapObject("a"))).status).toBe(404);
});

test.each<[string, unknown, JsonObject]>([
  ["application/merge-patch+json", { data: { x: null, y: "2" } }, { y: "2" }],
  ["application/strategic-merge-patch+json", { data: { $patch: "replace", z: "3" } }, { z: "3" }],
  ["application/json-patch+json", [{ op: "copy", from: "/data/x", path: "/data/w" }], { x: "1", w: "1" }],
  [
    "application/apply-patch+yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {v: '4'}\n",
    { x: "1", v: "4" },
  ],
])("PATCH with %s", async (contentType, patch, data) => {
  server.store.create(configMapObject("a", { x: "1" }));
  const url = `${server.url}${configMaps}/a?fieldManager=test`;
  const answer = await send("PATCH", url, patch, { "Content-Type": contentType });
  expect(answer).toMatchObject({ status: 200, body: { data } });
  expect(answer.body["data"]).toEqual(data);
});

test("PATCH of another type fails with 415, by apply without manager with 422, and by apply creates with 201", async () => {
  const url = `${server.url}${configMaps}/a`;
  const apply = { "Content-Type": "application/apply-patch+yaml" };
  expect((await send("PATCH", url, {}, { "Content-Type": "application/json" })).status).toBe(415);
  expect((await send("PATCH", url, configMapObject("a"), apply)).status).toBe(422);
  expect((await send("PATCH", `${url}?fieldManager=test`, configMapObject("a"), apply)).status).toBe(201);
});

test("DELETE answers with a Status, for Services with the object, and for collections with a list", async () => {
  server.store.create(configMapObject("a"));
  const slice = server.store.create(sliceObject("web-1", "web", ["10.0.0.1"]));
  const service = server.store.create(serviceObject("web"));
  const options = { propagationPolicy: "Background" };
  expect((await send("DELETE", `${server.url}${slices}/web-1`, options)).body).toEqual({
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name: "web-1", group: "discovery.k8s.io", kind: "endpointslices", uid: slice.metadata.uid },
  });
  const gone = await send("DELETE", `${server.url}${services}/web`);
  expect(gone.body).toMatchObject({ kind: "Service", metadata: { uid: service.metadata.uid } });
  server.store.create(configMapObject("b", {}, { keep: "yes" }));
  const deleted = await send("DELETE", `${server.url}${configMaps}?labelSelector=!keep`);
  expect(objectsAt(deleted.body, "items").map((item) => objectAt(item, "metadata")["name"])).toEqual(["a"]);
  expect(server.store.list("configmaps")).toHaveLength(1);
});

test("DELETE obeys preconditions and dryRun from its body", async () => {
  server.store.create(configMapObject("a"));
  const url = `${server.url}${configMaps}/a`;
  expect((await send("DELETE", url, { preconditions: { uid: "other" } })).status).toBe(409);
  expect((await send("DELETE", url, { dryRun: ["All"] })).status).toBe(200);
  expect((await send("DELETE", url, { dryRun: ["Some"] })).status).toBe(422);
  expect((await send("GET", url)).status).toBe(200);
});

test("dryRun stores nothing", async () => {
  const answer = await send("POST", `${server.url}${configMaps}?dryRun=All`, configMapObject("a"));
  expect(answer.status).toBe(201);
  expect(server.store.list("configmaps")).toEqual([]);
  expect((await send("POST", `${server.url}${configMaps}?dryRun=yes`, configMapObject("a"))).status).toBe(
    422,
  );
});

test("/status writes the status only", async () => {
  server.store.create(serviceObject("web", { spec: { type: "LoadBalancer" } }));
  const status = { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } };
  const patch = { spec: { ports: [{ port: 81 }] }, status };
  const headers = { "Content-Type": "application/merge-patch+json" };
  const { body } = await send("PATCH", `${server.url}${services}/web/status`, patch, headers);
  expect(body).toMatchObject({ status, spec: { ports: [{ port: 80 }] } });
  expect((await send("GET", `${server.url}${services}/web/status`)).body).toEqual(body);
});

test("both faces of an event show one object", async () => {
  const events = `${server.url}/apis/events.k8s.io/v1/namespaces/default/events`;
  const event = {
    metadata: { name: "e" },
    eventTime: "2026-01-01T00:00:00.000000Z",
    reportingController: "test",
    reportingInstance: "test-1",
    action: "Sync",
    reason: "Synced",
    regarding: { kind: "Node", name: "n" },
    note: "hello",
    type: "Normal",
  };
  expect((await send("POST", events, event)).body).toMatchObject({
    apiVersion: "events.k8s.io/v1",
    note: "hello",
  });
  const core = await send("GET", `${server.url}/api/v1/namespaces/default/events/e`);
  expect(core.body).toMatchObject({ apiVersion: "v1", message: "hello", involvedObject: { name: "n" } });
  const selected = await send("GET", `${events}?fieldSelector=regarding.name=n`);
  expect(objectsAt(selected.body, "items")).toMatchObject([{ note: "hello" }]);
  const patch = { note: "again" };
  const headers = { "Content-Type": "application/merge-patch+json" };
  expect((await send("PATCH", `${events}/e`, patch, headers)).body).toMatchObject({ note: "again" });
  expect((await send("DELETE", `${events}/e`)).body).toMatchObject({ kind: "Status", status: "Success" });
});

test("failures are Status objects with the code of the answer", async () => {
  expect(await send("GET", `${server.url}${services}/nope`)).toMatchObject({
    status: 404,
    body: {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      reason: "NotFound",
      code: 404,
    },
  });
  expect((await send("GET", `${server.url}/api/v1/secrets`)).body["message"]).toBe(
    "the server could not find the requested resource",
  );
  expect((await send("POST", `${server.url}/version`, {})).status).toBe(405);
  expect((await send("GET", `${server.url}/nope`)).status).toBe(404);
  expect((await send("POST", server.url + configMaps, "{")).status).toBe(400);
  expect((await send("POST", server.url + configMaps)).status).toBe(400);
  expect((await send("POST", server.url + configMaps, [])).status).toBe(400);
});

test("bodies above three MiB fail with 413", async () => {
  const body = configMapObject("a", { x: "x".repeat(3 * 1024 * 1024) });
  expect(await send("POST", server.url + configMaps, body)).toMatchObject({
    status: 413,
    body: { reason: "RequestEntityTooLarge" },
  });
});

test("protobuf bodies fail with 415, answers in protobuf only with 406", async () => {
  const protobuf = "application/vnd.kubernetes.protobuf";
  const sent = await send("POST", server.url + configMaps, "k8s\u0000", { "Content-Type": protobuf });
  expect(sent).toMatchObject({ status: 415, body: { reason: "UnsupportedMediaType" } });
  expect((await send("GET", server.url + configMaps, undefined, { Accept: protobuf })).status).toBe(406);
});

test("long lists are compressed for those who accept it, short ones are not", async () => {
  server.store.create(configMapObject("a", { x: "x".repeat(200_000) }));
  const read = (): Promise<Response> =>
    fetch(server.url + configMaps, { headers: { "Accept-Encoding": "gzip" } });
  const long = await read();
  expect(long.headers.get("content-encoding")).toBe("gzip");
  expect(await long.json()).toMatchObject({ items: [{ metadata: { name: "a" } }] });
  const plain = await fetch(server.url + configMaps, { headers: { "Accept-Encoding": "identity" } });
  expect(plain.headers.get("content-encoding")).toBeNull();
  server.store.patch("configmaps", "default/a", { data: null });
  expect((await read()).headers.get("content-encoding")).toBeNull();
});

test("kubectl gets tables, of lists and of objects", async () => {
  server.store.create(configMapObject("a", { x: "1" }));
  const headers = { Accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
  const { body } = await send("GET", server.url + configMaps, undefined, headers);
  expect(body).toMatchObject({ kind: "Table", metadata: { resourceVersion: server.store.version } });
  expect(objectsAt(body, "rows")).toMatchObject([{ cells: ["a", 1, "0s"] }]);
  const one = await send("GET", `${server.url}${configMaps}/a`, undefined, headers);
  expect(objectsAt(one.body, "rows")).toHaveLength(1);
});

test("a list of a version still to come waits, then fails with 504", async () => {
  const next = Number(server.store.version) + 1;
  const url = `${server.url}/api/v1/configmaps?resourceVersion=`;
  server.requests.clear();
  const inTime = send("GET", `${url}${next}`);
  const tooLate = send("GET", `${url}${next + 100}`);
  await server.requests.waitFor({ verb: "list" }, 2);
  server.store.create(configMapObject("a"));
  expect(await inTime).toMatchObject({ status: 200, body: { items: [{}] } });
  clock.advance(3_000);
  const { status, headers, body } = await tooLate;
  expect(status).toBe(504);
  expect(headers.get("retry-after")).toBe("1");
  expect(body["message"]).toBe(`Timeout: Too large resource version: ${next + 100}, current: ${next}`);
});

test("pages over HTTP are one state while writes happen", async () => {
  for (const name of ["a", "b", "c", "d", "e"]) server.store.create(configMapObject(name));
  const names: unknown[] = [];
  let token = "";
  do {
    const query = new URLSearchParams({ limit: "2", continue: token });
    const { body } = await send("GET", `${server.url}${configMaps}?${query}`);
    names.push(...objectsAt(body, "items").map((item) => objectAt(item, "metadata")["name"]));
    token = String(objectAt(body, "metadata")["continue"] ?? "");
    server.store.create(configMapObject(`aa${names.length}`));
    if (names.length === 2) server.store.delete("configmaps", "default/d");
  } while (token !== "");
  expect(names).toEqual(["a", "b", "c", "d", "e"]);
});

test("a request with a token is answered only if it is the right one", async () => {
  await using guarded = await startApiServer({ token: "secret" });
  const url = `${guarded.url}/api/v1/services`;
  expect(await send("GET", url)).toMatchObject({ status: 401, body: { reason: "Unauthorized" } });
  expect((await send("GET", url, undefined, { Authorization: "Bearer wrong" })).status).toBe(401);
  expect((await send("GET", url, undefined, { Authorization: "Bearer secret" })).status).toBe(200);
  expect((await fetch(`${guarded.url}/readyz`)).status).toBe(200);
});

test("startApiServer() refuses ranges that are none, and addresses that are taken", async () => {
  await expect(startApiServer({ serviceRanges: ["10.96.0.0"] })).rejects.toThrow(RangeError);
  await expect(startApiServer({ port: Number(new URL(server.url).port) })).rejects.toThrow(/EADDRINUSE/);
});

test("store.load() takes tens of thousands of objects, addresses included", async () => {
  const objects = Array.from({ length: 3_000 }, (_, index) => serviceObject(`s${index}`));
  await using loaded = await startApiServer();
  expect(loaded.store.load(objects)).toBe(3_000);
  const addresses = loaded.store.list("services").map((one) => objectAt(one, "spec")["clusterIP"]);
  expect(new Set(addresses).size).toBe(3_000);
  const response = await fetch(`${loaded.url}/api/v1/services`, {
    headers: { "Accept-Encoding": "identity" },
  });
  expect(objectsAt((await response.json()) as JsonObject, "items")).toHaveLength(3_000);
});
