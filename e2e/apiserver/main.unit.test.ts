/**
 * Tests of the server as a process of its own, and of the objects that it loads.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { objectAt, objectsAt } from "./json.ts";
import { parseManifests, readManifestDirectory } from "./load/manifest-directory.ts";
import { scaleEndpointAddress, scaleObjects } from "./load/scale-objects.ts";
import { startApiServer } from "./server.ts";
import { send } from "./testing.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "apiserver-"));
  writeFileSync(
    join(directory, "b.yaml"),
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {ports: [{port: 80}]}\n---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Node, metadata: {name: n}}\n",
  );
  writeFileSync(
    join(directory, "a.json"),
    JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "c" } }),
  );
  writeFileSync(join(directory, "notes.txt"), "not a manifest");
});

afterAll(() => rmSync(directory, { recursive: true }));

test("the process prints its URL first, serves what it loads, obeys the control endpoint, and ends on SIGTERM", async () => {
  const child = spawn(process.execPath, [main, "--load", directory, "--services", "2", "--endpoints", "3"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [url] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const { body } = await send("GET", `${url}/api/v1/services`);
    const names = objectsAt(body, "items").map((item) => objectAt(item, "metadata")["name"]);
    expect(names).toEqual(["service-00000", "service-00001", "web"]);
    const slices = await send("GET", `${url}/apis/discovery.k8s.io/v1/endpointslices`);
    expect(objectsAt(slices.body, "items").map((item) => objectsAt(item, "endpoints").length)).toEqual([
      3, 3,
    ]);
    await send("POST", `${url}/__faults`, { action: { kind: "status", code: 503 } });
    expect((await send("GET", `${url}/api/v1/nodes`)).status).toBe(503);
  } finally {
    child.kill("SIGTERM");
  }
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("the process ends with its standard input if asked", async () => {
  const child = spawn(process.execPath, [main, "--until-stdin-ends"], { stdio: ["pipe", "pipe", "inherit"] });
  await once(createInterface({ input: child.stdout }), "line");
  child.stdin.end();
  expect(await once(child, "exit")).toEqual([0, null]);
});

test("the process refuses bad options and manifests with one line and exit status 2", async () => {
  const failing = [
    ["--port", "x"],
    ["--load", join(directory, "missing")],
  ];
  const outcomes = failing.map(async (options) => {
    const child = spawn(process.execPath, [main, ...options], { stdio: ["ignore", "ignore", "pipe"] });
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += chunk;
    });
    const [code] = await once(child, "close");
    return { code, lines: text.trimEnd().split("\n").length };
  });
  for (const outcome of outcomes) expect(await outcome).toEqual({ code: 2, lines: 1 });
});

test("readManifestDirectory() reads manifests by file name, documents and Lists included", () => {
  const kinds = readManifestDirectory(directory).map((object) => (object as { kind: string }).kind);
  expect(kinds).toEqual(["ConfigMap", "Service", "Node"]);
});

test("parseManifests() names the source of what does not parse", () => {
  expect(() => parseManifests("a: [1", "x.yaml")).toThrow(/^Cannot read manifest x\.yaml: /);
  expect(() => parseManifests("just text", "x.yaml")).toThrow(/x\.yaml: a document is not an object/);
});

test("scaleObjects() makes valid Services and slices with addresses of their own", async () => {
  await using server = await startApiServer();
  const scale = { services: 30, endpoints: 20, managedFields: true };
  expect(server.store.load(scaleObjects(scale))).toBe(60);
  const addresses = server.store
    .list("endpointslices")
    .flatMap((slice) => objectsAt(slice, "endpoints"))
    .map((endpoint) => String(endpoint["addresses"]));
  expect(new Set(addresses).size).toBe(600);
  expect(server.store.get("services", "default/service-00007")?.metadata).toHaveProperty("managedFields");
});

test("scaleEndpointAddress() is different for the last of a hundred thousand endpoints", () => {
  const scale = { services: 10_000, endpoints: 10 };
  expect(scaleEndpointAddress(scale, 0, 0)).toBe("10.128.0.1");
  expect(scaleEndpointAddress(scale, 9_999, 9)).toBe("10.129.134.160");
});
