/**
 * The page of a running daemon: looks at the kernel when somebody looks at the page, and at no other time.
 *
 * @module
 */

import type { HttpReply } from "../../operations/http-message.ts";
import { errorText } from "../../operations/logger.ts";
import type { Finding } from "../doctor/finding.ts";
import type { ServiceTable } from "../service-table.ts";
import { type NodeLoad, RateMeter } from "../top/rate-meter.ts";
import { type PageContent, pageDocument, pageHeaders, readQuery } from "./document.ts";
import { RateHistory } from "./rate-history.ts";
import type { SyncHistory } from "./sync-history.ts";

/** Several viewers share a look: a table is read again no sooner than this. */
const leastBetweenLooksMs = 1_500;

/** The node is examined again no sooner than this. */
const leastBetweenExaminationsMs = 60_000;

/** What the page is made from. */
export interface LivePageOptions {
  readonly node: string;
  readonly version: string;
  /** The mode that serves now. */
  readonly mode: () => string;
  readonly syncs: SyncHistory;
  /** Reads the table of Services from the kernel. */
  readonly readTable: () => Promise<ServiceTable>;
  /** What doctor finds. */
  readonly examine: () => Promise<readonly Finding[]>;
  /** Milliseconds of a steady clock, and of the one on the wall. */
  readonly now: () => number;
  readonly wallClock: () => number;
}

/** Answers requests for the page. */
export class LivePage {
  readonly #options: LivePageOptions;
  readonly #meter = new RateMeter();
  readonly #history = new RateHistory();
  #look: { readonly atMs: number; readonly result: Promise<Look> } | undefined;
  #examinedAtMs: number | undefined;
  #findings: readonly Finding[] | undefined;

  constructor(options: LivePageOptions) {
    this.#options = options;
  }

  /** The reply to a request; with 503 and the reason when the kernel cannot be read. */
  async reply(query: URLSearchParams): Promise<HttpReply> {
    this.#examine();
    try {
      const { load, source } = await this.#lookAgain();
      const { node, version, mode, syncs, wallClock } = this.#options;
      const content: PageContent = {
        node,
        version,
        source,
        load,
        mode: mode(),
        nowMs: wallClock(),
        history: this.#history,
        syncs: syncs.entries,
        findings: this.#findings,
      };
      return { status: 200, headers: pageHeaders, body: pageDocument(content, readQuery(query)) };
    } catch (error) {
      const body = `Cannot read the table of Services: ${errorText(error)}\n`;
      return { status: 503, headers: { "Content-Type": "text/plain; charset=utf-8" }, body };
    }
  }

  #lookAgain(): Promise<Look> {
    const atMs = this.#options.now();
    if (this.#look === undefined || atMs - this.#look.atMs >= leastBetweenLooksMs) {
      const result = this.#read(atMs);
      this.#look = { atMs, result };
      result.catch(() => {
        this.#look = undefined;
      });
    }
    return this.#look.result;
  }

  async #read(atMs: number): Promise<Look> {
    const table = await this.#options.readTable();
    const load = this.#meter.add({ table, atMs });
    this.#history.add(load);
    return { load, source: table.source };
  }

  /** In the background: it takes longer than a viewer wants to wait. */
  #examine(): void {
    const now = this.#options.now();
    if (this.#examinedAtMs !== undefined && now - this.#examinedAtMs < leastBetweenExaminationsMs) {
      return;
    }
    this.#examinedAtMs = now;
    this.#options.examine().then(
      (findings) => {
        this.#findings = findings;
      },
      () => {
        this.#examinedAtMs = undefined;
      },
    );
  }
}

interface Look {
  readonly load: NodeLoad;
  readonly source: string;
}
