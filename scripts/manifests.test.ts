/**
 * Holds the manifests and the image's recipe against the program: its flags, ports, paths, configuration and requests.
 *
 * @module
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { helpText } from "../src/cli/help.ts";
import { serverAddress } from "../src/config/effective-settings.ts";
import { loadConfig, type Startup } from "../src/config/load-config.ts";
import { readConfigFile } from "../src/config/read-config-file.ts";
import { bytesOf, kubeadmFile } from "../src/config/testing.ts";
import { eventsPath } from "../src/kube/event-object.ts";
import { watchedResources } from "../src/kube/watched-resource.ts";
import { missingCapabilities } from "../src/operations/capabilities.ts";
import { healthReply } from "../src/operations/health-server.ts";
import { schemaProblems } from "./kubernetes-schema.ts";

const root = path.dirname(import.meta.dirname);
const folder = path.join(root, "manifests");
const overlays = ["iptables", "ipvs"] as const;
const mountPath = "/var/lib/kube-proxy";

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: {
    readonly privileged?: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities?: unknown;
  };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Probe {
  readonly httpGet: { readonly path: "/livez" | "/healthz"; readonly port: number };
}

interface DaemonSet {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly initContainers?: readonly Container[];
        readonly containers: readonly Container[];
        readonly volumes: readonly {
          readonly name: string;
          readonly configMap?: { readonly name: string };
        }[];
      };
    };
  };
}

interface Kustomization {
  readonly resources?: readonly string[];
  readonly patches?: readonly { readonly path: string }[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly files: readonly string[] }[];
  readonly images?: readonly { readonly name: string; readonly newTag: string }[];
}

interface RoleRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Every object of a YAML text; what YAML itself minds ends the test. */
function objectsOf(text: string): readonly { readonly kind: string }[] {
  return parseAllDocuments(text).map((document) => {
    expect([...document.errors, ...document.warnings]).toEqual([]);
    return document.toJS() as { readonly kind: string };
  });
}

function read(...parts: readonly string[]): string {
  return readFileSync(path.join(folder, ...parts), "utf8");
}

function single<T>(objects: readonly { readonly kind: string }[], kind: string): T {
  const found = objects.filter((one) => one.kind === kind);
  expect(found).toHaveLength(1);
  return found[0] as T;
}

function kustomization(name: string): Kustomization {
  return single<Kustomization>(objectsOf(read(name, "kustomization.yaml")), "Kustomization");
}

const daemonSet = single<DaemonSet>(objectsOf(read("base", "daemonset.yaml")), "DaemonSet");
const rbac = objectsOf(read("base", "rbac.yaml"));
const pod = daemonSet.spec.template.spec;

function containerOf(containers: readonly Container[] | undefined): Container {
  const [container] = containers ?? [];
  if (container === undefined || containers?.length !== 1) {
    throw new Error("The DaemonSet has not exactly one such container");
  }
  return container;
}

const proxy = containerOf(pod.containers);

/** Starts as the container does, with this file in the ConfigMap. The command is the image's, then `run`. */
async function startWith(
  file: string,
  container: Container = proxy,
): Promise<Extract<Startup, { action: "run" }>> {
  const argv = container.command.slice(2).map((argument) => argument.replaceAll("$(NODE_NAME)", "node-1"));
  const startup = await loadConfig({
    argv,
    readFile: (name) =>
      name === `${mountPath}/config.conf`
        ? Promise.resolve(bytesOf(file))
        : Promise.reject(new Error(`nothing is mounted at ${name}`)),
    hostName: "pod",
    nodeNameVariable: undefined,
  });
  if (startup.action !== "run") {
    throw new TypeError(`expected to run, got ${startup.action}`);
  }
  return startup;
}

describe("files", () => {
  test("are YAML, and each is named by a kustomization", () => {
    for (const name of readdirSync(folder)) {
      const { resources = [], patches = [], configMapGenerator = [] } = kustomization(name);
      const named = [
        "kustomization.yaml",
        ...resources.filter((one) => !one.startsWith("../")),
        ...patches.map((patch) => patch.path),
        ...configMapGenerator.flatMap((one) => one.files.map((file) => file.replace(/^.*=/, ""))),
      ];
      expect(readdirSync(path.join(folder, name)).toSorted()).toEqual(named.toSorted());
      for (const one of [...named, ...resources]) {
        expect(existsSync(path.join(folder, name, one)), `${name}/${one}`).toBe(true);
        expect(one.startsWith("../") ? [] : objectsOf(read(name, one))).not.toContain(null);
      }
    }
    expect(readdirSync(folder).toSorted()).toEqual(["base", "monitoring", ...overlays].toSorted());
  });

  test("are what Kubernetes' own types allow", async () => {
    for (const object of [daemonSet, ...rbac]) {
      expect(await schemaProblems(object), object.kind).toEqual([]);
    }
  });

  test("the guide names kustomizations that exist", () => {
    const guide = readFileSync(path.join(root, "docs/migrating-from-kube-proxy.md"), "utf8");
    const named = [...guide.matchAll(/-k (manifests\/\w+)/g)].map(([, name = ""]) => name);
    expect(named.length).toBeGreaterThan(1);
    expect(named.filter((name) => !existsSync(path.join(root, name, "kustomization.yaml")))).toEqual([]);
  });

  test("the image has the version of the program", () => {
    const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
      readonly version: string;
    };
    expect(kustomization("base").images).toMatchObject([{ name: proxy.image, newTag: version }]);
    expect(pod.initContainers?.map(({ image }) => image)).toEqual([proxy.image]);
  });
});

test("the builder is sent what the recipe copies", () => {
  const [recipe, ignored] = ["Dockerfile", ".dockerignore"].map((name) =>
    readFileSync(path.join(root, name), "utf8"),
  );
  const copied = [...(recipe ?? "").matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = ""]) =>
    names.split(" "),
  );
  const sent = [...(ignored ?? "").matchAll(/^!(.+)$/gm)].map(([, name = ""]) => name);
  expect(copied.toSorted()).toEqual(sent.toSorted());
  expect(sent.filter((name) => !existsSync(path.join(root, name)))).toEqual([]);
});

describe("the DaemonSet", () => {
  test("is kubeadm's", () => {
    expect(daemonSet.metadata).toMatchObject({ name: "kube-proxy", namespace: "kube-system" });
    expect(daemonSet.spec.selector.matchLabels).toEqual({ "k8s-app": "kube-proxy" });
    expect(daemonSet.spec.template.metadata.labels).toEqual({ "k8s-app": "kube-proxy" });
    expect(proxy.name).toBe("kube-proxy");
  });

  test("starts a command that the image and the program have", () => {
    const [file = "", command = ""] = proxy.command;
    const recipe = readFileSync(path.join(root, "Dockerfile"), "utf8");
    expect(recipe).toContain(`/bin/kube-sluice /image${file};`);
    expect(recipe).toContain("/image/usr/local/bin/kube-proxy\n");
    expect(command).toBe("run");
    expect(helpText()).toContain("kube-sluice [run]");
  });

  test("mounts what it names", () => {
    const names = pod.volumes.map(({ name }) => name);
    expect(proxy.volumeMounts.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    const mount = proxy.volumeMounts.find((one) => one.mountPath === mountPath);
    const volume = pod.volumes.find(({ name }) => name === mount?.name);
    expect(volume?.configMap?.name).toBe("kube-proxy");
  });

  test("runs on the file that kubeadm writes", async () => {
    const { config, nodeName, warnings } = await startWith(kubeadmFile);
    expect({ nodeName, warnings, mode: config.mode }).toEqual({
      nodeName: "node-1",
      warnings: [],
      mode: "iptables",
    });
  });

  test.each(["livenessProbe", "readinessProbe"] as const)("%s asks what is answered", async (name) => {
    const { config } = await startWith(kubeadmFile);
    const get = proxy[name]?.httpGet;
    expect(get?.port).toBe(serverAddress(config.healthzBindAddress)?.port);
    expect(get?.path).toBe("/livez");
    const fresh = { nowMs: 0, healthy: true, nodeEligible: false, families: [] };
    expect(healthReply("livez", fresh).status).toBe(200);
  });
});

describe("rights", () => {
  test("are exactly those for what is watched and created", () => {
    const role = single<{ readonly rules: readonly RoleRule[] }>(rbac, "ClusterRole");
    const given = role.rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    );
    const watched = watchedResources("node-1").flatMap((resource) =>
      ["list", "watch"].map((verb) => `${verb} ${resourceOf(resource.path)}`),
    );
    const written = ["create", "patch"].map((verb) => `${verb} ${resourceOf(eventsPath("default"))}`);
    expect(given.toSorted()).toEqual([...watched, ...written].toSorted());
  });

  test("are given to the account of the pod", () => {
    const account = { name: pod.serviceAccountName, namespace: daemonSet.metadata.namespace };
    expect(single(rbac, "ServiceAccount")).toMatchObject({ metadata: account });
    const role = single<{ readonly metadata: { readonly name: string } }>(rbac, "ClusterRole");
    expect(single(rbac, "ClusterRoleBinding")).toMatchObject({
      roleRef: { kind: "ClusterRole", name: role.metadata.name },
      subjects: [{ kind: "ServiceAccount", ...account }],
    });
  });
});

/** `group/resource` of the path of a collection. */
function resourceOf(collection: string): string {
  const [, group = "", resource = ""] =
    /^\/(?:api|apis\/([^/]+))\/v1\/(?:namespaces\/[^/]+\/)?(\w+)$/.exec(collection) ?? [];
  expect(resource).not.toBe("");
  return `${group}/${resource}`;
}

describe.each(overlays)("overlay %s", (mode) => {
  test("has a configuration without anything odd", async () => {
    const file = path.join(folder, mode, "config.conf");
    const { config, warnings } = await startWith(new TextDecoder().decode(await readConfigFile(file)));
    expect(warnings).toEqual([]);
    expect(config.mode).toBe(mode);
    expect(config.clientConnection.kubeconfig).toBe(`${mountPath}/kubeconfig.conf`);
    expect(kustomization(mode).configMapGenerator).toMatchObject([
      { name: "kube-proxy", namespace: "kube-system", options: { disableNameSuffixHash: true } },
    ]);
  });

  // setup.sh installs kubectl; without it only a developer's machine may pass.
  const isMissing = spawnSync("kubectl", ["version", "--client"]).error !== undefined;
  test.skipIf(isMissing && process.env["CI"] === undefined)("is what kubectl makes of it", async () => {
    const text = execFileSync("kubectl", ["kustomize", path.join(folder, mode)], { encoding: "utf8" });
    const objects = objectsOf(text);
    expect(objects.map(({ kind }) => kind).toSorted()).toEqual(
      ["ClusterRole", "ClusterRoleBinding", "ConfigMap", "DaemonSet", "ServiceAccount"].toSorted(),
    );
    for (const object of objects) {
      expect(await schemaProblems(object), object.kind).toEqual([]);
    }
    const config = read(mode, "config.conf");
    expect(single(objects, "ConfigMap")).toMatchObject({
      metadata: { name: "kube-proxy", namespace: "kube-system" },
      data: { "config.conf": config },
    });
    const { containers, initContainers } = single<DaemonSet>(objects, "DaemonSet").spec.template.spec;
    expect(containerOf(containers).securityContext.privileged).toBe(false);
    expect(initContainers).toHaveLength(1);
  });
});

test("the container's ports are those that the program listens on", async () => {
  const { config } = await startWith(kubeadmFile);
  const listens = {
    healthz: serverAddress(config.healthzBindAddress)?.port,
    metrics: serverAddress(config.metricsBindAddress)?.port,
  };
  const ports = proxy.ports.map(({ name, containerPort }) => [name, containerPort]);
  expect(Object.fromEntries(ports)).toEqual(listens);
});

test("the container has the capabilities that the program asks for, and no others", () => {
  const { capabilities } = proxy.securityContext;
  const none = missingCapabilities("CapEff:\t0000000000000000\n");
  expect(capabilities).toEqual({ drop: ["ALL"], add: [...none] });
  expect(proxy.securityContext).toMatchObject({
    privileged: false,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    seccompProfile: { type: "RuntimeDefault" },
  });
});

test("the init container starts as the program does, and ends", async () => {
  const init = containerOf(pod.initContainers);
  expect(init.command.filter((argument) => argument !== "--init-only")).toEqual(proxy.command);
  expect(init.securityContext.privileged).toBe(true);
  const { process } = await startWith(kubeadmFile, init);
  expect(process.initOnly).toBe(true);
  expect((await startWith(kubeadmFile)).process.initOnly).toBe(false);
});
