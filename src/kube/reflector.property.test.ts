/**
 * The property that makes a reflector one: whatever happens on the way, in the end the consumer has what the server
 * has, and was told of every difference exactly once.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Reflector } from "./reflector.ts";
import { FakeClock, RecordingHandler } from "./testing.ts";
import { type Fault, ModelServer } from "./testing-server.ts";
import { watchedResources } from "./watched-resource.ts";

type Command = (server: ModelServer, clock: FakeClock) => void | Promise<void>;

const anyName = fc.constantFrom("a", "b", "c", "d", "e");

const anyFault = fc.constantFrom<Fault>(
  "refuse",
  "hang",
  "silence",
  "garble",
  "cut",
  "ignore WatchList",
  400,
  401,
  410,
  422,
  429,
  500,
  503,
);

function named(name: string, command: Command): Command {
  // fast-check prints a function by this when it reports a counterexample.
  return Object.assign(command, { [fc.toStringMethod]: () => name });
}

const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(anyName, fc.integer({ min: 1, max: 3 }))
      .map(([name, port]) => named(`put ${name} ${port}`, (server) => server.put(name, port))),
  },
  { weight: 3, arbitrary: anyName.map((name) => named(`delete ${name}`, (server) => server.delete(name))) },
  { weight: 3, arbitrary: anyFault.map((fault) => named(`arm ${fault}`, (server) => server.arm(fault))) },
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: 1, max: 200_000 })
      .map((ms) => named(`wait ${ms}`, (_, clock) => clock.advance(ms))),
  },
  fc.constant(named("cut", (server) => server.cutAll())),
  fc.constant(named("end", (server) => server.endAll())),
  fc.constant(named("compact", (server) => server.compact())),
  fc.constant(named("bookmark", (server) => server.bookmark())),
  fc.constant(named("restore", (server) => server.restore())),
);

test("run() ends up with what the server has, by any road", async () => {
  const [resource] = watchedResources("node-1");
  if (resource === undefined) {
    throw new Error("There is no resource");
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyCommand, { maxLength: 30, size: "max" }),
      fc.integer({ min: 40, max: 1000 }),
      async (commands, chunkSize) => {
        const clock = new FakeClock();
        const server = new ModelServer(chunkSize);
        const handler = new RecordingHandler();
        const stop = new AbortController();
        const options = { resource, transport: server, handler, clock, random: () => 0.5 };
        const run = new Reflector(options).run(stop.signal);
        for (const command of commands) {
          await command(server, clock);
          await clock.settle();
        }
        server.heal();
        await clock.advance(600_000);
        stop.abort();
        await run;
        const ports = new Map(
          [...handler.objects.values()].map((object) => [
            object.name,
            object.kind === "Service" ? object.ports[0]?.port : 0,
          ]),
        );
        expect(ports).toEqual(new Map([...server.objects].map(([name, { port }]) => [name, port])));
        // A deletion of what was never delivered throws in the handler, which the guard logs as an error.
        expect(handler.logs.filter(({ level }) => level === "error")).toEqual([]);
        expect(handler.calls.filter((call) => call.startsWith("synced"))).toHaveLength(1);
        expect(clock.timers).toBe(0);
      },
    ),
    { numRuns: 150 },
  );
});
