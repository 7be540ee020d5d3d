/**
 * Kubeconfigs that cannot be used, and servers that are no API server: a line that says so, and nothing touched.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeCertificate } from "../../src/kube/testing-certificate.ts";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { Daemon } from "./daemon.ts";
import { eventually } from "./eventually.ts";
import { savedRules } from "./rules.ts";

const NEEDS = { programs: ["iptables-nft"], plugins: ["bridge", "host-local"] };

/** Answers every request alike. The arguments are the port, the status and the body, and for HTTPS a key and a certificate. */
const server = `
const [port, status, body, key, cert] = process.argv.slice(1);
const answer = (request, response) => {
  response.writeHead(Number(status), { "content-type": body.startsWith("<") ? "text/html" : "application/json" });
  response.end(body);
};
const made = key ? require("node:https").createServer({ key, cert }, answer) : require("node:http").createServer(answer);
made.listen(Number(port), "127.0.0.1");
`;

const page = "<html>\n<h1>Please log in</h1>\n</html>";
const unauthorized = JSON.stringify({
  kind: "Status",
  status: "Failure",
  message: "Unauthorized",
  code: 401,
});

describeOnKernel("an API that is none", NEEDS, () => {
  let cluster: Cluster;
  let node: Node;
  let before: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    cluster = await createCluster({ nodes: 1, variant: "nft" });
    node = cluster.node(0);
    before = await savedRules(node, "nft");
  });

  afterAll(async () => {
    for (const child of children) {
      child.kill("SIGKILL");
    }
    await cluster?.remove();
  });

  function kubeconfig(
    name: string,
    cluster: Readonly<Record<string, unknown>>,
    user: object = { token: "expired" },
  ) {
    const file = join(node.directory, `${name}.json`);
    const content = {
      clusters: [{ name: "a", cluster }],
      users: [{ name: "a", user }],
      contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
      "current-context": "a",
    };
    writeFileSync(file, JSON.stringify(content));
    return file;
  }

  describe("ends the start with status 1 and one line, before anything is touched, with", () => {
    test.each<[string, () => string, RegExp]>([
      ["no kubeconfig", () => join(node.directory, "absent"), /Cannot use the kubeconfig ".*absent": ENOENT/],
      [
        "a kubeconfig that is none",
        () => {
          const file = join(node.directory, "text");
          writeFileSync(file, "clusters: {\n");
          return file;
        },
        /Cannot use the kubeconfig ".*text": /,
      ],
      [
        "an authority that is not there",
        () =>
          kubeconfig("authority", {
            server: "https://127.0.0.1:1",
            "certificate-authority": "/no/such/ca.crt",
          }),
        /for the API server: ENOENT.*ca\.crt/,
      ],
      [
        "a token file that is not there",
        () => kubeconfig("token", { server: "https://127.0.0.1:1" }, { tokenFile: "/no/such/token" }),
        /token file "\/no\/such\/token": ENOENT/,
      ],
    ])("%s", async (_, file, reason) => {
      const timeout = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait";
      const timeoutBefore = (await node.exec(["cat", timeout])).stdout;
      const args = [
        `--kubeconfig=${file()}`,
        "--conntrack-tcp-timeout-close-wait=77s",
        "--conntrack-max-per-core=0",
      ];
      const { status, stdout, stderr } = await Daemon.command(node, ["run", ...args]);
      expect(stderr).toMatch(/^kube-sluice: [^\n]+\n$/);
      expect(stderr).toMatch(reason);
      expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
      expect((await node.exec(["cat", timeout])).stdout).toBe(timeoutBefore);
      expect(await savedRules(node, "nft")).toBe(before);
    });
  });

  describe("is asked again and again, and named, when", () => {
    const own = makeCertificate();
    const other = makeCertificate();
    const inBase64 = (text: string) => Buffer.from(text).toString("base64");

    test.each<[string, readonly string[], Readonly<Record<string, unknown>>, RegExp]>([
      ["it answers with a page", ["200", page], { server: "http://127.0.0.1:8001" }, /not JSON/],
      ["the gateway before it does", ["502", page], { server: "http://127.0.0.1:8002" }, /^502 /],
      ["the token has expired", ["401", unauthorized], { server: "http://127.0.0.1:8003" }, /^401 /],
      [
        "its certificate is another authority's",
        ["200", page, own.key, own.cert],
        { server: "https://127.0.0.1:8004", "certificate-authority-data": inBase64(other.cert) },
        /self-signed certificate|unable to verify|certificate/,
      ],
      ["nobody is there", [], { server: "http://127.0.0.1:8005" }, /ECONNREFUSED/],
    ])("%s", async (_, args, where, reason) => {
      const port = new URL(String(where["server"])).port;
      if (args.length > 0) {
        children.push(node.spawn([nodeProgram, "-e", server, port, ...args], { stdio: "ignore" }));
        await eventually("the server", async () =>
          (await node.exec(["ss", "-Hlnt"])).stdout.includes(`:${port} `),
        );
      }
      await using daemon = Daemon.launch(node, { from: { kubeconfig: kubeconfig(`api-${port}`, where) } });
      const complaints = () => daemon.log.complaints().filter(({ outcome }) => reason.test(String(outcome)));
      await eventually("all to be asked for, and some again", () => complaints().length >= 4);
      expect(new Set(complaints().map(({ kind }) => kind))).toEqual(
        new Set(["Service", "EndpointSlice", "Node"]),
      );
      expect(daemon.log.find("SyncProxyRules complete")).toEqual([]);
      expect(await daemon.get(10_256, "/livez")).toMatchObject({ status: 200 });
      expect(await savedRules(node, "nft")).toBe(before);
      expect(await daemon.stop()).toBe(0);
    });
  });
});
