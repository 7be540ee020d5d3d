/**
 * Restarts under load in iptables mode, with both variants at the same time.
 *
 * @module
 */
import { join } from "node:path";
import { expect, test } from "vitest";
import { Daemon } from "../daemon/daemon.ts";
import { Manifests } from "../daemon/manifests.ts";
import type { Variant } from "../harness/iptables-variant.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { rulesOf } from "./node-state.ts";
import { restart, withoutEndpoint } from "./restarts.ts";
import { GoldenStage } from "./stage.ts";
import { goldenObjects } from "./testing-golden.ts";

const variants: readonly Variant[] = ["nft", "legacy"];

describeOnKernel("the daemon in iptables mode", { programs: ["iptables-nft", "iptables-legacy"] }, () => {
  test.concurrent.each(variants)(
    "is restarted fifty times at random moments and no request fails (%s)",
    async (variant) => {
      await using stage = await GoldenStage.create({ variant });
      const { node } = stage;
      const objects = goldenObjects();
      const fewer = withoutEndpoint(objects, "clusterip");
      const manifests = new Manifests(join(node.directory, "manifests"), [node]);
      manifests.set(objects);
      const options = {
        from: { manifests: manifests.path },
        config: { clusterCIDR: "10.128.0.0/9" },
      };
      await using first = await Daemon.start(node, options);
      const before = await rulesOf(node, variant);
      await first.stop("SIGKILL");
      await restart({
        stage,
        options,
        times: 50,
        longest: 500,
        deepEvery: 5,
        seed: 20_261_126,
        change: (round) => manifests.set(round % 2 === 0 ? fewer : objects),
      });
      const marker = (line: string): boolean => !line.includes("10.111.0.1");
      expect((await rulesOf(node, variant)).filter(marker)).toEqual(before.filter(marker));
    },
  );
});
