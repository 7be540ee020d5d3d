/**
 * Restarts under load in ipvs mode.
 *
 * @module
 */
import { restart, withoutEndpoint } from "../takeover/restarts.ts";
import { goldenObjects } from "../takeover/testing-golden.ts";
import { GoldenNode } from "./golden-node.ts";
import { describeInGuest } from "./guest.ts";

let golden: GoldenNode;

const tests = {
  "ipvs mode is restarted fifty times at random moments and no request fails": async () => {
    const first = await golden.serve("ipvs", false);
    await first.stop("SIGKILL");
    const before = await golden.state();
    const objects = goldenObjects();
    const fewer = withoutEndpoint(objects, "clusterip");
    await restart({
      stage: golden.stage,
      options: golden.options("ipvs"),
      times: 50,
      longest: 800,
      // A process that has not begun to read the kernel has done nothing to it, and a start takes seconds here.
      deepEvery: 3,
      seed: 20_261_126,
      change: (round) => golden.manifests.set(round % 2 === 0 ? fewer : objects),
      amount: golden.amount,
    });
    await golden.expectState(before);
  },
};

describeInGuest({
  name: "the daemon in ipvs mode",
  file: import.meta.url,
  seconds: 400,
  programs: ["ipvsadm", "ipset"],
  tests,
  prepare: () => {
    golden = new GoldenNode();
  },
});
