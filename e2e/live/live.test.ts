/**
 * What a node does, live: the page of its daemon in a real browser, and `top` in a real terminal.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import { eventually } from "../daemon/eventually.ts";
import { Manifests } from "../daemon/manifests.ts";
import { withPods } from "../daemon/objects.ts";
import { type Cluster, createCluster, type Node } from "../harness/cluster.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { Browser, type Look } from "./browser.ts";
import { Terminal } from "./terminal.ts";

const command = fileURLToPath(new URL("../../bin/kube-sluice", import.meta.url));

const address = "http://127.0.0.1:10249/page";
/** Service ports: ours, and the one that the daemon's tests mark states with. */
const served = 21;
const wide: Look = { width: 1200, height: 900, scheme: "light" };

/** With a folder in this variable, what was seen is left there to be looked at. */
const screenshots = process.env["SCREENSHOTS"];

describeOnKernel(
  "a node that serves",
  { programs: ["iptables-nft", "chromium", "tmux"], plugins: ["bridge", "host-local"] },
  () => {
    let cluster: Cluster;
    let node: Node;
    let daemon: Daemon;
    let browser: Browser;

    beforeAll(async () => {
      cluster = await createCluster({ nodes: 1, podsPerNode: 2, variant: "nft" });
      node = cluster.node(0);
      await Promise.all(cluster.pods.map(({ agent }) => agent.listen({ tcp: [8080] })));
      const manifests = new Manifests(join(node.directory, "manifests"), cluster.nodes);
      manifests.set(
        Array.from({ length: 20 }, (_, index) => ({
          name: `shop-${index}`,
          clusterIP: `10.96.0.${10 + index}`,
          ports: [{ port: 80, targetPort: 8080 }],
        })).flatMap((shape) => withPods(shape, cluster.pods)),
      );
      daemon = await Daemon.start(node, {
        from: { manifests: manifests.path },
        config: { sluice: { page: { enabled: true } } },
      });
      browser = await Browser.start(node);
    });

    afterAll(async () => {
      browser?.[Symbol.dispose]();
      await daemon?.stop("SIGKILL");
      await cluster?.remove();
    });

    async function connect(times: number): Promise<void> {
      for (let count = 0; count < times; count++) {
        const { kind } = await node.agent.connect({ ip: "10.96.0.10", port: 80 });
        expect(kind).toBe("answered");
      }
    }

    test.each<[string, Look]>([
      ["wide and light", wide],
      ["wide and dark", { ...wide, scheme: "dark" }],
      ["narrow and light", { width: 360, height: 800, scheme: "light" }],
      ["narrow and dark", { width: 360, height: 800, scheme: "dark" }],
    ])("has a page that fits a screen that is %s, in its colours", async (name, look) => {
      await browser.open(address, look);
      expect(await browser.evaluate("document.querySelectorAll('tbody a').length")).toBe(served);
      expect(await browser.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
      const shade = await browser.evaluate(
        "Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0])",
      );
      expect(Number(shade) > 127).toBe(look.scheme === "light");
      const image = await browser.screenshot();
      expect(image.length).toBeGreaterThan(5_000);
      if (screenshots !== undefined) {
        writeFileSync(join(screenshots, `${name.replaceAll(" ", "-")}.png`), image);
      }
      expect(browser.takeComplaints()).toEqual([]);
    });

    test("has a page that goes on by itself, and shows who is busy", async () => {
      await browser.open(`${address}?filter=shop-0:`, wide);
      const seen = await eventually("a rate on the page", async () => {
        await connect(20);
        const rate = await browser.evaluate(
          "Number(document.querySelector('tbody tr').cells[2].textContent)",
        );
        return Number(rate) > 0;
      });
      expect(seen).toBe(true);
      expect(browser.takeComplaints()).toEqual([]);
    });

    test("has a page that can be read without scripts, and followed to the endpoints of a Service", async () => {
      await browser.open(address, { ...wide, scripts: false });
      expect(await browser.evaluate("document.querySelectorAll('tbody a').length")).toBe(served);
      const link = await browser.evaluate("document.querySelector('tbody a').href");
      await browser.open(String(link), { ...wide, scripts: false });
      const endpoints = await browser.evaluate("document.querySelector('tbody').textContent");
      for (const { ip } of cluster.pods) {
        expect(endpoints).toContain(`${ip}:8080`);
      }
    });

    test("is shown by top in a terminal, which takes keys", async () => {
      await using terminal = await Terminal.start(node, `${command} top --interval 0.3`, {
        columns: 120,
        rows: 40,
      });
      const line = async (text: string): Promise<string | undefined> =>
        (await terminal.screen()).find((one) => one.includes(text));
      // Whoever is busy comes first.
      await eventually("the busy Service on the first line", async () => {
        await connect(20);
        return (await terminal.screen())[3]?.includes("/shop-0:http ");
      });
      expect((await terminal.screen())[0]).toMatch(/^kube-sluice top .* iptables-nft {2}21 Service ports/);
      await terminal.type("n");
      await eventually("the order of names", async () => (await line("shop-0:http")) !== undefined);
      await terminal.type("/", "shop-1", "Enter");
      await eventually("the filter", async () => (await terminal.screen())[0]?.includes("11 of 21 "));
      await terminal.type("Down", "Enter");
      await eventually("the endpoints", async () => (await line(":8080")) !== undefined);
      await terminal.type("f");
      await eventually("that it is frozen", async () => (await terminal.screen())[0]?.endsWith("frozen"));
      await terminal.resize(20, 10);
      await eventually("words instead of a page", async () =>
        (await terminal.screen())[0]?.startsWith("top needs 60"),
      );
      await terminal.resize(120, 40);
      await terminal.type("q");
      await eventually("the end", async () => (await line("ended with status 0")) !== undefined);
      expect(await line("kube-sluice top")).toBeUndefined();
    });

    test("is refused by top in a terminal of 20 columns, in one line", async () => {
      await using terminal = await Terminal.start(node, `${command} top`, { columns: 20, rows: 10 });
      await eventually("the end", async () => (await terminal.screen()).join("").includes("with status 2"));
      expect((await terminal.screen()).join("")).toContain("top needs 60 columns");
    });

    test("is printed by top where there is no terminal", async () => {
      const { stdout } = await node.exec([command, "top", "--interval", "0.2", "--filter", "shop-1:"]);
      expect(stdout.trimEnd().split("\n")).toHaveLength(2);
      const { stdout: json } = await node.exec([command, "top", "--interval", "0.2", "--output", "json"]);
      expect(JSON.parse(json).services).toHaveLength(served);
    });
  },
);
