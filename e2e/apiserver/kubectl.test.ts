/**
 * The real kubectl against the server. A kubectl that is missing is a failure, not a reason to skip.
 *
 * @module
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { JsonObject } from "./json.ts";
import { objectAt, objectsAt } from "./json.ts";
import type { ApiServer } from "./server.ts";
import { startApiServer } from "./server.ts";
import { sliceObject } from "./testing.ts";

const kubectlPath = "/usr/bin/kubectl";

const manifest = `
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
`;

const node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "node-1", labels: { "node-role.kubernetes.io/worker": "" } },
  status: {
    addresses: [{ type: "InternalIP", address: "192.0.2.1" }],
    conditions: [{ type: "Ready", status: "True" }],
    nodeInfo: { kubeletVersion: "v1.36.2", osImage: "Linux" },
  },
};

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let server: ApiServer;
let directory: string;
let file: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "kubectl-"));
  file = join(directory, "manifest.yaml");
});

beforeEach(async () => {
  writeFileSync(file, manifest);
  server = await startApiServer();
});

afterEach(() => server.close());

afterAll(() => rmSync(directory, { recursive: true }));

/** A home and a discovery cache of its own for each server: kubectl caches by host and port for hours. */
function environment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { PATH: process.env["PATH"] ?? "", HOME: directory, KUBECONFIG: "/dev/null", ...more };
}

function commonArguments(of: ApiServer = server): readonly string[] {
  return ["--server", of.url, "--cache-dir", join(directory, `cache-${new URL(of.url).port}`)];
}

function run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(kubectlPath, args, { env: environment(more), timeout: 30_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === "number") resolve({ code, stdout, stderr });
      else reject(error);
    });
  });
}

/** Runs kubectl, which must succeed; what it printed. */
async function kubectl(...args: readonly string[]): Promise<string> {
  const outcome = await run([...commonArguments(), ...args]);
  expect({ args, ...outcome }).toMatchObject({ code: 0 });
  return outcome.stdout;
}

/** A table as rows of cells. */
function rows(table: string): readonly string[][] {
  return table
    .trimEnd()
    .split("\n")
    .map((line) => line.trim().split(/\s{2,}/));
}

function service(): JsonObject {
  return server.store.get("services", "default/web") ?? expect.unreachable();
}

test("kubectl version and api-resources know the server", async () => {
  expect(await kubectl("version")).toContain("Server Version: v1.36.2");
  const table = rows(await kubectl("api-resources"));
  expect(table).toContainEqual(["services", "svc", "v1", "true", "Service"]);
  expect(table).toContainEqual(["endpointslices", "discovery.k8s.io/v1", "true", "EndpointSlice"]);
  expect(await kubectl("api-versions")).toBe(
    "discovery.k8s.io/v1\nevents.k8s.io/v1\nnetworking.k8s.io/v1\nv1\n",
  );
});

test("kubectl create -f and get in all forms", async () => {
  expect(await kubectl("create", "-f", file)).toBe("service/web created\nconfigmap/settings created\n");
  server.store.create(sliceObject("web-1", "web", ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]));
  server.store.create(node);
  expect(rows(await kubectl("get", "svc"))).toEqual([
    ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"],
    ["web", "ClusterIP", "10.96.1.0", "<none>", "80/TCP", expect.any(String)],
  ]);
  expect(rows(await kubectl("get", "services", "web", "-o", "wide"))[1]?.at(-1)).toBe("app=web");
  expect(rows(await kubectl("get", "endpointslices"))[1]).toEqual(
    expect.arrayContaining(["web-1", "IPv4", "8080", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more..."]),
  );
  expect(rows(await kubectl("get", "no", "-o", "wide"))[1]).toEqual(
    expect.arrayContaining(["node-1", "Ready", "worker", "v1.36.2", "192.0.2.1", "Linux"]),
  );
  expect(rows(await kubectl("get", "cm", "-A"))[1]).toEqual(["default", "settings", "1", expect.any(String)]);
  expect(await kubectl("get", "all")).toContain("service/web");
  expect(await kubectl("get", "svc,cm", "-o", "name")).toBe("service/web\nconfigmap/settings\n");
  expect(JSON.parse(await kubectl("get", "svc", "web", "-o", "json"))).toEqual(service());
  expect(await kubectl("get", "svc", "web", "-o", "yaml")).toContain("clusterIP: 10.96.1.0");
  expect(await kubectl("get", "svc", "-o", "jsonpath={.items[*].spec.ports[0].port}")).toBe("80");
  expect(await kubectl("get", "svc", "-l", "app=web", "--show-labels")).toContain("app=web");
  expect(await kubectl("get", "svc", "--field-selector", "spec.type=ClusterIP", "--no-headers")).toContain(
    "web",
  );
  expect(await kubectl("get", "ns", "--chunk-size=1", "--sort-by=.metadata.name", "-o", "name")).toBe(
    "namespace/default\nnamespace/kube-node-lease\nnamespace/kube-public\nnamespace/kube-system\n",
  );
  expect(JSON.parse(await kubectl("get", "--raw", "/api/v1/nodes"))).toMatchObject({ kind: "NodeList" });
  expect(await run([...commonArguments(), "get", "svc", "nope"])).toEqual({
    code: 1,
    stdout: "",
    stderr: 'Error from server (NotFound): services "nope" not found\n',
  });
});

test("kubectl get -w shows changes as they happen", async () => {
  server.store.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, data: {} });
  const child = spawn(kubectlPath, [...commonArguments(), "get", "cm", "-w", "--no-headers"], {
    env: environment(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async (): Promise<string[]> =>
      String((await lines.next()).value)
        .split(/\s+/)
        .slice(0, 2);
    expect(await next()).toEqual(["a", "0"]);
    await server.requests.waitFor({ verb: "watch" });
    server.store.patch("configmaps", "default/a", { data: { x: "1" } });
    expect(await next()).toEqual(["a", "1"]);
    server.store.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "b" } });
    expect(await next()).toEqual(["b", "0"]);
    server.store.delete("configmaps", "default/a");
    expect(await next()).toEqual(["a", "1"]);
  } finally {
    child.kill();
    await once(child, "exit");
  }
});

test("kubectl describe shows a Service with endpoints and events, and a Node", async () => {
  await kubectl("create", "-f", file);
  server.store.create(sliceObject("web-1", "web", ["10.0.0.1"]));
  server.store.create(node);
  server.store.create({
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "web.1" },
    involvedObject: {
      kind: "Service",
      namespace: "default",
      name: "web",
      uid: objectAt(service(), "metadata")["uid"],
    },
    reason: "Tested",
    message: "it was tested",
    type: "Normal",
    source: { component: "test" },
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-01T00:00:00Z",
    count: 1,
  });
  const described = await kubectl("describe", "svc", "web");
  expect(described).toMatch(/Endpoints: +10\.0\.0\.1:8080/);
  expect(described).toContain("it was tested");
  expect(await kubectl("describe", "node", "node-1")).toMatch(/InternalIP: +192\.0\.2\.1/);
  expect(await kubectl("events")).toContain("it was tested");
  expect(await kubectl("get", "events", "-o", "wide")).toContain("it was tested");
  expect(await kubectl("get", "events.events.k8s.io")).toContain("it was tested");
});

test("kubectl apply creates, changes and removes what a manifest says, from the client's side", async () => {
  expect(await kubectl("apply", "-f", file)).toBe("service/web created\nconfigmap/settings created\n");
  expect(await kubectl("apply", "-f", file)).toBe("service/web unchanged\nconfigmap/settings unchanged\n");
  const two = manifest.replace("[{name: http", "[{name: https, port: 443}, {name: http");
  writeFileSync(file, two);
  expect(await kubectl("apply", "-f", file)).toContain("service/web configured");
  const names = (): readonly unknown[] =>
    objectsAt(objectAt(service(), "spec"), "ports").map((port) => port["name"]);
  expect(names()).toEqual(["https", "http"]);
  writeFileSync(file, manifest);
  expect(await kubectl("apply", "-f", file)).toContain("service/web configured");
  expect(names()).toEqual(["http"]);
  expect(objectAt(service(), "spec")["clusterIP"]).toBe("10.96.1.0");
});

test("kubectl apply --server-side creates and changes", async () => {
  expect(await kubectl("apply", "--server-side", "-f", file)).toContain("service/web serverside-applied");
  writeFileSync(file, manifest.replace("8080", "9090"));
  await kubectl("apply", "--server-side", "-f", file);
  expect(service()).toMatchObject({ spec: { ports: [{ port: 80, targetPort: 9090 }] } });
});

test("kubectl apply --dry-run=server and diff change nothing", async () => {
  await kubectl("apply", "-f", file);
  const { version } = server.store;
  expect(await kubectl("diff", "-f", file)).toBe("");
  writeFileSync(file, manifest.replace("8080", "9090"));
  const diff = await run([...commonArguments(), "diff", "-f", file]);
  expect(diff).toMatchObject({ code: 1, stdout: expect.stringContaining("+    targetPort: 9090") });
  expect(await kubectl("apply", "--dry-run=server", "-f", file)).toContain("configured (server dry run)");
  expect(server.store.version).toBe(version);
});

test("kubectl edit, patch in three ways, label, annotate, replace", async () => {
  await kubectl("create", "-f", file);
  const edited = await run([...commonArguments(), "edit", "svc", "web"], { EDITOR: "sed -i s/8080/9090/" });
  expect(edited).toMatchObject({ code: 0, stdout: "service/web edited\n" });
  expect(service()).toMatchObject({ spec: { ports: [{ targetPort: 9090 }] } });
  await kubectl("patch", "svc", "web", "-p", '{"spec":{"ports":[{"port":80,"targetPort":1}]}}');
  await kubectl("patch", "svc", "web", "--type=merge", "-p", '{"spec":{"sessionAffinity":"ClientIP"}}');
  await kubectl(
    "patch",
    "svc",
    "web",
    "--type=json",
    "-p",
    '[{"op":"replace","path":"/spec/ports/0/port","value":81}]',
  );
  expect(service()).toMatchObject({
    spec: {
      ports: [{ name: "http", port: 81, targetPort: 1 }],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
    },
  });
  const status = '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.7"}]}}}';
  await kubectl("patch", "svc", "web", "--subresource=status", "--type=merge", "-p", status);
  expect(service()).toMatchObject({ status: { loadBalancer: { ingress: [{ ip: "192.0.2.7" }] } } });
  await kubectl("label", "svc", "web", "tier=front", "app-");
  await kubectl("annotate", "svc", "web", "note=hello");
  expect(objectAt(service(), "metadata")).toMatchObject({
    labels: { tier: "front" },
    annotations: { note: "hello" },
  });
  expect(await kubectl("replace", "-f", file)).toContain("service/web replaced");
  expect(objectAt(objectAt(service(), "metadata"), "labels")).toEqual({ app: "web" });
  expect(await kubectl("replace", "--force", "-f", file)).toContain("service/web replaced");
});

test("kubectl wait sees a change, and kubectl delete ends with the object gone", async () => {
  await kubectl("create", "-f", file);
  const waiting = kubectl("wait", "svc/web", "--for=jsonpath={.spec.type}=NodePort", "--timeout=20s");
  await server.requests.waitFor({ verb: "watch" });
  server.store.patch("services", "default/web", { spec: { type: "NodePort" } });
  expect(await waiting).toBe("service/web condition met\n");
  const deletion = kubectl("wait", "cm/settings", "--for=delete", "--timeout=20s");
  await server.requests.waitFor({ verb: "watch", resource: "configmaps" });
  expect(await kubectl("delete", "-f", file)).toBe('service "web" deleted\nconfigmap "settings" deleted\n');
  await deletion;
  expect(await kubectl("delete", "svc", "--all")).toBe("No resources found\n");
  expect(server.store.list("services")).toEqual([]);
});

test("kubectl over TLS with a token", async () => {
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const form = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", ...form, ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
  await using secure = await startApiServer({
    token: "secret",
    tls: { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") },
  });
  const common = [
    ...commonArguments(secure),
    "--certificate-authority",
    cert,
    "get",
    "ns",
    "default",
    "-o",
    "name",
  ];
  expect(await run([...common, "--token", "secret"])).toMatchObject({
    code: 0,
    stdout: "namespace/default\n",
  });
  expect(await run([...common, "--token", "wrong"])).toMatchObject({ code: 1 });
});
