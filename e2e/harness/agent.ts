/**
 * The agent: a process in a network namespace that serves and connects as a test tells it.
 *
 * `agent.ts NAME` reads requests from standard input and answers on standard output, in the form of
 * agent-protocol.ts. NAME is how it introduces itself to those who connect. It ends when its input does, so it never
 * outlives the test.
 *
 * @module
 */
import { createInterface } from "node:readline";
import { openConnection, outcomeOf } from "./agent-connections.ts";
import { Listeners } from "./agent-listeners.ts";
import { Loads } from "./agent-load.ts";
import type { AgentMethods, AgentRequest, AgentResponse } from "./agent-protocol.ts";
import { Streams } from "./agent-streams.ts";

const listeners = new Listeners(process.argv[2] ?? "agent");
const streams = new Streams();
const loads = new Loads();

const methods: AgentMethods = {
  listen: (request) => listeners.listen(request),
  unlisten: async (request) => listeners.unlisten(request),
  retire: (request) => listeners.retire(request),
  async connect(request) {
    const result = await openConnection(request);
    if (!("kind" in result)) result.close();
    return outcomeOf(result);
  },
  hold: (request) => streams.hold(request),
  stream: async ({ stream }) => streams.report(stream),
  release: async ({ stream }) => streams.release(stream),
  startLoad: async (request) => ({ load: loads.start(request) }),
  load: async ({ load }) => loads.report(load),
  stopLoad: ({ load }) => loads.stop(load),
};

async function answer({ id, method, params }: AgentRequest): Promise<AgentResponse> {
  try {
    // The harness is the only caller and is checked against the same types.
    const call = methods[method] as (params: unknown) => Promise<unknown>;
    return { id, result: await call(params) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

const input = createInterface({ input: process.stdin });
input.on("line", async (line) => {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
});
input.once("close", () => process.exit(0));
