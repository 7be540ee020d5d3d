/**
 * The clients that IPVS remembers on this host. Netlink has no message that would put records in.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { AffinityMemory, RememberedClient } from "../affinity/remembered-client.ts";
import type { Plan } from "../proxier/plan.ts";
import { TemplateReader } from "./template-reader.ts";

const connectionsFile = "/proc/net/ip_vs_conn";

/** The memory of IPVS. */
export const ipvsMemory: AffinityMemory = {
  read: async (plan: Plan): Promise<readonly RememberedClient[]> => {
    const reader = new TemplateReader(plan);
    if (!reader.isIdle) {
      for await (const line of createInterface({ input: createReadStream(connectionsFile) })) {
        reader.take(line);
      }
    }
    return reader.clients();
  },
};
