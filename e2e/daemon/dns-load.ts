/**
 * A DNS client that asks without pause, as a program in a pod: `node dns-load.ts SERVER`.
 *
 * It uses the resolver library c-ares, as many programs do: one UDP socket for all queries, and TCP for an answer that
 * was cut off. A query is asked once. For each line on standard input it prints one with a report as JSON.
 *
 * @module
 */
import { Resolver } from "node:dns/promises";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { count } from "../harness/agent-streams.ts";
import { inGuest } from "../harness/tested-mode.ts";

/** What came of the queries so far. */
export interface DnsReport {
  /** By the server that answered and the transport. */
  readonly answered: Readonly<Record<string, number>>;
  /** By c-ares' word for it, such as `ETIMEOUT`. */
  readonly failed: Readonly<Record<string, number>>;
}

/** How long a query waits for its answer. A lost one is never answered, however long that is. */
const timeoutMs = inGuest ? 5000 : 500;

const pauseMs = 2;

/** Names whose TXT records tell who answers: a short answer comes by UDP, a long one by TCP. */
export const names = { UDP: "who.example.test", TCP: "long.example.test" } as const;

async function ask(server: string): Promise<void> {
  const report = { answered: {}, failed: {} };
  createInterface({ input: process.stdin })
    .on("line", () => process.stdout.write(`${JSON.stringify(report)}\n`))
    .on("close", () => process.exit());
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 });
  resolver.setServers([server]);
  for (;;) {
    for (const [transport, name] of Object.entries(names)) {
      try {
        const [[who = ""] = []] = await resolver.resolveTxt(name);
        count<string>(report.answered, `${who} ${transport}`);
      } catch (error) {
        count<string>(
          report.failed,
          error instanceof Error && "code" in error ? String(error.code) : String(error),
        );
      }
      await wait(pauseMs);
    }
  }
}

const [, , server] = process.argv;
if (import.meta.main && server !== undefined) {
  await ask(server);
}
