/**
 * Traffic that goes on while something happens, and must not notice.
 *
 * @module
 */
import { expect } from "vitest";
import type { LoadRequest } from "../harness/agent-protocol.ts";
import type { Host } from "../harness/host.ts";
import { eventually } from "./eventually.ts";

/** Who connects, and where to. */
export type Traffic = LoadRequest & { readonly sender: Host };

/**
 * Runs `work` while connections are made, and expects that every one of them is answered.
 *
 * @param least of each; waited for, so that it does not depend on how long the work takes
 */
export async function undisturbed(
  traffic: readonly Traffic[],
  work: () => Promise<void>,
  least = 50,
): Promise<void> {
  const loads = await Promise.all(
    traffic.map(async ({ sender, ...request }) => {
      const load = await sender.agent.startLoad({ pauseMilliseconds: 5, ...request });
      return { load, name: `from ${sender.name} to ${request.ip}:${request.port}` };
    }),
  );
  try {
    await work();
    for (const { load, name } of loads) {
      await eventually(`${least} answers ${name}`, async () => {
        const { answered, failures } = await load.report();
        return answered >= least || Object.keys(failures).length > 0;
      });
    }
  } finally {
    const reports = await Promise.all(
      loads.map(async ({ load, name }) => ({ name, ...(await load.stop()) })),
    );
    for (const { name, failures, lastFailure } of reports) {
      expect.soft(failures, `${name}: ${lastFailure}`).toEqual({});
    }
  }
}
