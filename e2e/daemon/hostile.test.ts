/**
 * Manifests that are wrong, by mistake or on purpose: each is told of once, by object and field, and everything else
 * keeps working.
 *
 * @module
 */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { testedVariant } from "../harness/tested-mode.ts";
import { apply, Daemon } from "./daemon.ts";
import { Manifests } from "./manifests.ts";
import { type ServiceShape, withPods } from "./objects.ts";
import { savedRules } from "./rules.ts";

const NEEDS = { programs: ["iptables-nft", "ipset"], plugins: ["bridge", "host-local"] };

const good: ServiceShape = { name: "good", clusterIP: "10.96.0.10", ports: [{ port: 80, targetPort: 8080 }] };

/** A Service of its own, with a slice that has one endpoint. */
function manifest(
  spec: string,
  { metadata = "{namespace: default, name: bad}", address = "10.244.1.2", of = "bad" } = {},
): string {
  return `
apiVersion: v1
kind: Service
metadata: ${metadata}
spec: ${spec}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: default, name: bad-1, labels: {kubernetes.io/service-name: ${of}}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: ["${address}"], nodeName: node1, conditions: {ready: true}}]
`;
}

const sound =
  "{clusterIP: 10.96.0.20, clusterIPs: [10.96.0.20], ipFamilies: [IPv4], ports: [{name: http, port: 80}]}";

interface Hostile {
  readonly what: string;
  readonly text: string;
  /** What the one report names; undefined where nothing is wrong. */
  readonly object?: string;
  readonly field?: string;
  /** Whether Service `bad` is served all the same. */
  readonly served: boolean;
}

/** The address that Service `bad` asks for. */
const badAddress = "10.96.0.20";

const cases: readonly Hostile[] = [
  {
    what: "malformed YAML",
    text: "apiVersion: v1\nkind: Service\n  metadata: {name",
    object: "bad.yaml",
    served: false,
  },
  { what: "bytes that are no text", text: "\u0000\u0001\ufffd: [", object: "bad.yaml", served: false },
  {
    what: "unknown fields",
    text: manifest(sound.replace("{clusterIP", "{color: blue, clusterIP")),
    object: "default/bad",
    field: "spec.color",
    served: true,
  },
  {
    what: "an impossible address",
    text: manifest(sound.replaceAll("10.96.0.20", "10.96.0.999")),
    object: "default/bad",
    field: "spec.clusterIPs[0]",
    served: false,
  },
  {
    what: "a name that tries to break out of a comment",
    text: manifest(sound, {
      metadata: `{namespace: default, name: 'bad" -j ACCEPT\\n-A INPUT -j ACCEPT #'}`,
    }),
    object: "default/bad??-j?ACCEPT?n-A?INPUT?-j?ACCEPT??",
    field: "metadata.name",
    served: false,
  },
  {
    what: "a port name that tries the same",
    text: manifest(sound.replace("name: http", `name: 'a" -j ACCEPT #'`)),
    object: "default/bad",
    field: "spec.ports[0].name",
    served: false,
  },
  {
    what: "an endpoint that is a loopback address",
    text: manifest(sound, { address: "127.0.0.1" }),
    object: "default/bad-1",
    field: "endpoints[0].addresses[0]",
    served: false,
  },
  {
    what: "an endpoint that is a link-local address",
    text: manifest(sound, { address: "169.254.169.254" }),
    object: "default/bad-1",
    field: "endpoints[0].addresses[0]",
    served: false,
  },
  {
    what: "an endpoint that is no address",
    text: manifest(sound, { address: "10.244.1.2; rm -rf /" }),
    object: "default/bad-1",
    field: "endpoints[0].addresses[0]",
    served: false,
  },
  {
    what: "100 kB of annotations",
    text: manifest(sound, {
      metadata: `{namespace: default, name: bad, annotations: {note: "${"x".repeat(100_000)}"}}`,
    }),
    object: "default/bad",
    field: "metadata.annotations",
    served: true,
  },
  {
    // May come before its Service; only at the start, when everything is known, does the log name it.
    what: "a slice of a Service that does not exist",
    text: manifest(sound, { of: "nowhere" }),
    served: false,
  },
  {
    what: "a port beyond all ports",
    text: manifest(sound.replace("port: 80", "port: 65536")),
    object: "default/bad",
    field: "spec.ports[0].port",
    served: false,
  },
];

describeOnKernel("manifests that are wrong", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let manifests: Manifests;
  let daemon: Daemon;

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, podsPerNode: 1, variant: testedVariant });
    node = cluster.node(0);
    await node.pod("pod1-1").agent.listen({ tcp: [8080] });
    manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
    manifests.set(withPods(good, cluster.pods));
    daemon = await Daemon.start(node, { from: { manifests: manifests.path } });
  });

  afterAll(() => cluster?.remove());

  test.each(cases)("$what", async ({ text, object, field = "", served }) => {
    const mark = daemon.log.mark();
    const before = await savedRules(node, testedVariant);
    manifests.write("bad.yaml", text);
    await change();
    const reports = daemon.log.complaints(mark);
    expect(reports.map(({ msg }) => msg)).toEqual(object === undefined ? [] : ["Problem with an object"]);
    for (const report of reports) {
      expect(report).toMatchObject({ object, field });
      expect(report["problem"]).toMatch(/\w/);
    }
    expect(await isServed(badAddress)).toBe(served);
    expect(await isServed(good.clusterIP)).toBe(true);

    manifests.remove("bad.yaml");
    await change();
    expect(daemon.log.complaints(mark)).toEqual(reports);
    expect(daemon.log.find("A problem with an object is gone", mark).length).toBe(reports.length);
    expect(await daemon.metric("kube_sluice_problems")).toBe("0");
    expect(await savedRules(node, testedVariant)).toBe(before);
  });

  test("two Services that claim one address and port", async () => {
    const mark = daemon.log.mark();
    manifests.write("bad.yaml", manifest(sound.replaceAll(badAddress, good.clusterIP)));
    await change();
    // Whose name sorts first has it.
    const [report, ...more] = daemon.log.complaints(mark);
    expect(more).toEqual([]);
    expect(report).toMatchObject({ kind: "Service", object: "default/good", field: "spec.clusterIP" });
    expect(report?.["problem"]).toContain("default/bad:http");
    expect(await isServed(good.clusterIP)).toBe(true);
    manifests.remove("bad.yaml");
    await change();
    expect(daemon.log.find("A problem with an object is gone", mark).length).toBe(1);
    expect(await isServed(good.clusterIP)).toBe(true);
  });

  /** A change of something else, which is applied whatever is wrong beside it. */
  async function change(): Promise<void> {
    await apply(manifests, [daemon], withPods(good, cluster.pods));
  }

  async function isServed(ip: string): Promise<boolean> {
    const outcome = await node.agent.connect({ ip, port: 80, timeoutMilliseconds: 200 });
    return outcome.kind === "answered";
  }
});
