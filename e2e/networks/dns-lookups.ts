/**
 * A program in a pod that resolves names without pause: `node dns-lookups.ts QUESTIONS`, the questions as JSON.
 *
 * Addresses are asked for through the C library, which follows the pod's resolv.conf and asks for A and AAAA at once from
 * one socket. For each line on standard input it prints one with a report as JSON.
 *
 * @module
 */
import { lookup, Resolver } from "node:dns/promises";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { count } from "../harness/agent-streams.ts";
import type { Question } from "./dns-zone.ts";

/** What came of the lookups so far. */
export interface LookupReport {
  /** By name. */
  readonly right: Readonly<Record<string, number>>;
  /** By what went wrong. */
  readonly wrong: Readonly<Record<string, number>>;
}

async function answersTo({ kind, name }: Question, resolver: Resolver): Promise<readonly string[]> {
  if (kind === "address") return (await lookup(name, { all: true })).map(({ address }) => address);
  return (await resolver.resolveSrv(name)).map(({ name: target, port }) => `${target}:${port}`);
}

async function ask(questions: readonly Question[]): Promise<void> {
  const report = { right: {}, wrong: {} };
  createInterface({ input: process.stdin })
    .on("line", () => process.stdout.write(`${JSON.stringify(report)}\n`))
    .on("close", () => process.exit());
  const resolver = new Resolver();
  for (;;) {
    for (const question of questions) {
      const { name } = question;
      try {
        const answers = await answersTo(question, resolver);
        const same = answers.toSorted().join() === question.answers.toSorted().join();
        if (same) count<string>(report.right, name);
        else count<string>(report.wrong, `${name}: ${answers.join()}`);
      } catch (error) {
        count<string>(report.wrong, `${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
      await wait(2);
    }
  }
}

const [, , questions] = process.argv;
if (import.meta.main && questions !== undefined) await ask(JSON.parse(questions));
