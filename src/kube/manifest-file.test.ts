/**
 * Tests of reading manifest files.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { type ManifestContent, ManifestError, parseManifest } from "./manifest-file.ts";
import { Pacer } from "./pacer.ts";
import { objectKey } from "./source.ts";
import { StringPool } from "./string-pool.ts";
import { FakeClock, nodeJson, serviceJson, sliceJson } from "./testing.ts";

function parse(text: string, file = "a.yaml"): Promise<ManifestContent> {
  return parseManifest(file, text, new StringPool(), new Pacer(new FakeClock()));
}

async function keysOf(text: string, file?: string): Promise<readonly string[]> {
  const { objects } = await parse(text, file);
  return objects.map(({ object }) => `${object.kind} ${objectKey(object)}`);
}

const service = `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.1
  ports:
  - port: 80
`;

test("parseManifest() names fields that the kind does not have", async () => {
  const text = `${service}  - port: 81
    name: more
    nodeport: 30081
  externalIPS: [192.0.2.1]
  sessionAffinityConfig: {clientIP: {timeout: 3}}
  selector: {any: thing}
colour: blue
"a\\tb": 1
`;
  const { objects } = await parse(text);
  const found = objects.flatMap(({ problems }) => problems.map(({ object, field }) => `${object} ${field}`));
  expect(found.toSorted()).toEqual([
    'default/web "a\\tb"',
    "default/web colour",
    "default/web spec.externalIPS",
    "default/web spec.ports[1].nodeport",
    "default/web spec.sessionAffinityConfig.clientIP.timeout",
  ]);
  expect(objects).toHaveLength(1);
});

test("parseManifest() names no field of what kubectl prints", async () => {
  const json = [serviceJson("web", "1"), sliceJson("web", "2", ["10.244.1.1"]), nodeJson("n1", "3")];
  const { objects } = await parse(JSON.stringify({ apiVersion: "v1", kind: "List", items: json }), "a.json");
  expect(objects.flatMap(({ problems }) => problems)).toEqual([]);
  expect(objects).toHaveLength(3);
});

test("parseManifest() reads all documents of a file and leaves out other kinds", async () => {
  const text = [
    "# a comment",
    "---",
    service,
    "--- # another",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}",
    "---",
    "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: other}",
    "---",
    stringify(sliceJson("web", "1", ["10.0.0.1"])),
    "---",
    "---",
    stringify(nodeJson("node-1", "1")),
    "...",
  ].join("\n");
  expect(await keysOf(text)).toEqual([
    "Service default/web",
    "EndpointSlice default/web-abcde",
    "Node node-1",
  ]);
});

test("parseManifest() puts objects without a namespace into default, as kubectl does", async () => {
  const { objects, problems } = await parse(service);
  expect(problems).toEqual([]);
  expect(objects).toMatchObject([
    { object: { namespace: "default", name: "web", ports: [{ port: 80 }] }, problems: [] },
  ]);
});

test("parseManifest() takes a slice's port without a name for an unnamed one, as the API server does", async () => {
  const text = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 8080}, {port: 9090, name: null}, {port: 90, name: admin}, 5]
endpoints: [{addresses: [10.244.1.1]}]
`;
  const { objects } = await parse(text);
  expect(objects).toMatchObject([
    {
      object: { ports: [{ name: "" }, { name: "" }, { name: "admin" }] },
      problems: [{ field: "ports[3]" }],
    },
  ]);
  const [port, ...others] = (await parse(text.replace(/^ports: .*$/m, "ports: none"))).objects;
  expect(others).toEqual([]);
  expect(port?.problems).toMatchObject([{ field: "ports" }]);
});

test("parseManifest() reads Lists, typed ones too, in YAML and JSON", async () => {
  const { kind: _, apiVersion: __, ...untyped } = serviceJson("b", "1");
  const list = {
    apiVersion: "v1",
    kind: "List",
    items: [
      serviceJson("a", "1"),
      { apiVersion: "v1", kind: "ServiceList", metadata: {}, items: [untyped] },
      { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } },
      "nonsense",
    ],
  };
  const keys = ["Service default/a", "Service default/b"];
  expect(await keysOf(JSON.stringify(list), "a.json")).toEqual(keys);
  expect(await keysOf(stringify(list), "a.yml")).toEqual(keys);
});

test.each([
  ["a: 1\nb: [1\nc: 2\n", "a.yaml", "line 3"],
  [`${service}---\n# fine\n---\na: b: c\n`, "a.yaml", "line 11"],
  ["a: &a [1]\nb: *missing\n", "a.yaml", "line 1"],
  ["a: 1\na: 2\n", "a.yaml", "line 2"],
  ['{\n"a": 1,\n}', "a.json", "line 3"],
  ['{"a":\n1', "a.json", "line 2"],
])("parseManifest() refuses %j and names the line", async (text, file, line) => {
  const failure = parse(text, file);
  await expect(failure).rejects.toThrow(ManifestError);
  await expect(failure).rejects.toThrow(new RegExp(`^${line}: `));
});

test("parseManifest() refuses aliases that multiply", async () => {
  const levels = Array.from({ length: 12 }, (_, level) =>
    level === 0
      ? "a0: &a0 [x, x, x]"
      : `a${level}: &a${level} [${"*a".concat(String(level - 1), ", ").repeat(9)}]`,
  );
  await expect(parse(levels.join("\n"))).rejects.toThrow(ManifestError);
});

test("parseManifest() names documents that are no objects or have no kind", async () => {
  const { objects, problems } = await parse(`${service}---\njust text\n---\nservices: []\n`);
  expect(objects).toHaveLength(1);
  expect(problems).toEqual([
    {
      kind: "manifest",
      object: "a.yaml",
      field: "line 8",
      message: '"just text" is not an object: the document is ignored',
    },
    {
      kind: "manifest",
      object: "a.yaml",
      field: "line 10",
      message: "there is no kind or no apiVersion: the document is ignored",
    },
  ]);
});

test("parseManifest() keeps the problems of an object with it, and those of a refused one with the file", async () => {
  const { objects, problems } = await parse(
    `${service}  externalIPs: [5]\n---\napiVersion: v1\nkind: Service\nmetadata: {name: "A B"}\n`,
  );
  expect(objects.map((one) => one.problems.map(({ field }) => field))).toEqual([["spec.externalIPs[0]"]]);
  expect(problems.map(({ field }) => field)).toEqual(["metadata.name"]);
});

test("parseManifest() gives content or a ManifestError for any text", async () => {
  const anyText = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => stringify(value)),
    fc
      .array(fc.constantFrom("---", "a:", "- b", "  c: 1", "kind: List", "items:", "[", "}", '"'), {
        maxLength: 12,
      })
      .map((lines) => lines.join("\n")),
  );
  await fc.assert(
    fc.asyncProperty(anyText, fc.constantFrom("a.yaml", "a.json"), async (text, file) => {
      const outcome = await parse(text, file).catch((error: unknown) => error);
      expect(
        outcome instanceof ManifestError ||
          (typeof outcome === "object" && outcome !== null && "objects" in outcome),
      ).toBe(true);
    }),
  );
});
