/**
 * A reflector of Services whose server is played by the test.
 *
 * @module
 */
import { expect, onTestFinished } from "vitest";
import { Reflector, type ReflectorOptions } from "./reflector.ts";
import {
  FakeClock,
  type PlayedRequest,
  RecordingHandler,
  ScriptedTransport,
  serviceJson,
} from "./testing.ts";
import { watchedResources } from "./watched-resource.ts";

const [services] = watchedResources("node-1");

/** A reflector and what is around it. */
export interface Play {
  readonly clock: FakeClock;
  readonly api: ScriptedTransport;
  readonly handler: RecordingHandler;
  readonly reflector: Reflector;
  readonly stop: AbortController;
  /** Resolves when the reflector has ended. */
  readonly run: Promise<void>;
}

/** A running reflector of Services. */
export function play(options: Partial<ReflectorOptions> = {}): Play {
  if (services === undefined) {
    throw new Error("There is no resource");
  }
  const clock = new FakeClock();
  const api = new ScriptedTransport(clock);
  const handler = new RecordingHandler();
  const stop = new AbortController();
  const reflector = new Reflector({
    resource: services,
    transport: api,
    handler,
    clock,
    random: () => 0,
    ...options,
  });
  const run = reflector.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await run;
    expect(clock.timers).toBe(0);
  });
  return { clock, api, handler, reflector, stop, run };
}

/** A reflector that has the given Services at version 10 and an open watch. */
export async function synced(
  names: readonly string[],
  options: Partial<ReflectorOptions> = {},
): Promise<Play & { watch: PlayedRequest }> {
  const played = play(options);
  const watch = await played.api.next();
  watch.open();
  for (const name of names) {
    watch.event("ADDED", serviceJson(name, "5"));
  }
  watch.bookmark("10", true);
  await played.clock.settle();
  played.handler.take();
  return { ...played, watch };
}
