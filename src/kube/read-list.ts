/**
 * Fetches the state of a collection by lists, the way of servers without WatchList.
 *
 * Items are decoded as they arrive; of a page no more is held than one item. Pages of one list are parts of one
 * consistent state: the new state is taken over only after the last.
 *
 * @module
 */
import { asRecord } from "./fields.ts";
import { ListSplitter } from "./list-splitter.ts";
import type { Replacement } from "./object-store.ts";
import { brokenOutcome, openResponse } from "./open-response.ts";
import { Pacer } from "./pacer.ts";
import { answerMs, type ReflectorContext } from "./reflector-context.ts";
import { listRequest } from "./reflector-request.ts";
import type { Outcome, ReflectorState } from "./reflector-state.ts";
import type { ApiResponse } from "./transport.ts";
import { parseJson } from "./watch-event.ts";
import { Watchdog } from "./watchdog.ts";

/** What stands around the items of a page. */
interface PageEnd {
  readonly kind: "page";
  readonly version: string;
  /** Where the next page begins; `""` on the last. */
  readonly token: string;
}

/** Lists the collection and takes over its state. */
export async function readList(
  context: ReflectorContext,
  state: ReflectorState,
  signal: AbortSignal,
): Promise<Outcome> {
  const replacement = context.intake.startReplacement(!state.versionUnusable);
  let version = "";
  let token = "";
  do {
    using watchdog = new Watchdog(context.clock, signal, answerMs);
    const request = listRequest(context.resource, state, token);
    const opened = await openResponse(context.transport, request, watchdog, token !== "");
    if (opened.response === undefined) {
      return opened.outcome;
    }
    const page = await readPage(context, opened.response, replacement, watchdog);
    if (page.kind !== "page") {
      return page;
    }
    // Later pages are served as of the first one's version.
    version = version === "" ? page.version : version;
    token = page.token;
  } while (token !== "");
  const doubt = context.doubt(replacement);
  if (doubt !== undefined) {
    return doubt;
  }
  await context.intake.takeOver(replacement, signal);
  return { kind: "listed", version };
}

async function readPage(
  context: ReflectorContext,
  response: ApiResponse,
  replacement: Replacement,
  watchdog: Watchdog,
): Promise<PageEnd | Outcome> {
  const splitter = new ListSplitter();
  const pacer = new Pacer(context.clock);
  try {
    for await (const chunk of response.body) {
      watchdog.touch();
      context.sign();
      for (const item of splitter.push(chunk)) {
        const json = parseJson(item);
        if (json instanceof Error) {
          return { kind: "garbled", detail: json.message };
        }
        context.intake.gather(replacement, json);
        if (pacer.due()) {
          await pacer.rest();
        }
      }
      watchdog.signal.throwIfAborted();
    }
  } catch (error) {
    return brokenOutcome(error, watchdog, false);
  }
  return readEnvelope(splitter.envelope);
}

function readEnvelope(envelope: string): PageEnd | Outcome {
  const json = parseJson(Buffer.from(envelope));
  if (json instanceof Error) {
    return { kind: "garbled", detail: json.message };
  }
  const list = asRecord(json);
  const metadata = asRecord(list?.["metadata"]);
  const items = list?.["items"] ?? [];
  const version = metadata?.["resourceVersion"];
  const token = metadata?.["continue"] ?? "";
  if (!Array.isArray(items) || items.length > 0 || typeof token !== "string") {
    return { kind: "garbled", detail: "the response is not a list" };
  }
  // From "0" a watch would begin with objects instead of changes; a real server's lists never have that version.
  if (typeof version !== "string" || version === "" || version === "0") {
    return { kind: "garbled", detail: "the list has no version" };
  }
  return { kind: "page", version, token };
}
