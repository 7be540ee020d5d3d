/**
 * Deleting tables of nftables, against the kernel.
 *
 * @module
 */
import { expect, test } from "vitest";
import { deleteNftTable } from "../src/netlink/nft-table.ts";
import { openNetlink } from "../src/netlink/socket.ts";
import { createNamespace } from "./harness/namespace.ts";
import { describeOnKernel } from "./harness/requirements.ts";

describeOnKernel("deleteNftTable()", { programs: ["nft"] }, () => {
  test("deletes a table with all that is in it, tells when there is none, and leaves others", async () => {
    await using namespace = await createNamespace("tables");
    const tables = [
      "table ip kube-proxy { map m { type inet_proto : verdict; }",
      "chain a { drop; }",
      "chain b { type filter hook input priority 0; meta l4proto vmap @m; }",
      "}",
      "add element ip kube-proxy m { tcp : goto a }",
      "table ip6 kube-proxy { }",
      "table inet other { }",
    ];
    await namespace.exec(["nft", "-f", "-"], { input: tables.join("\n") });
    using connection = namespace.enter(() => openNetlink("netfilter"));
    expect(deleteNftTable(connection, "IPv4", "kube-proxy")).toBe(true);
    expect(deleteNftTable(connection, "IPv4", "kube-proxy")).toBe(false);
    const list = async (): Promise<string> => (await namespace.exec(["nft", "list", "tables"])).stdout;
    expect(await list()).toBe("table ip6 kube-proxy\ntable inet other\n");
    expect(deleteNftTable(connection, "IPv6", "kube-proxy")).toBe(true);
    expect(await list()).toBe("table inet other\n");
  });
});
