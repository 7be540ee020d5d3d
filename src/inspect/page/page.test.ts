/**
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SyncFailure, SyncOutcome } from "../../proxier/proxier.ts";
import type { Finding } from "../doctor/finding.ts";
import type { ServiceTable } from "../service-table.ts";
import { RateMeter } from "../top/rate-meter.ts";
import { tableOf, virtualServer } from "../top/testing.ts";
import { sparkline, timeline } from "./charts.ts";
import { type PageContent, pageDocument, readQuery } from "./document.ts";
import { Html, html } from "./html.ts";
import { LivePage } from "./live-page.ts";
import { keptLooks, RateHistory } from "./rate-history.ts";
import { contentSecurityPolicy, script, styleSheet } from "./style.ts";
import { SyncHistory } from "./sync-history.ts";

const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);

function tableAt(second: number, services = 3): ServiceTable {
  const rows = Array.from({ length: services }, (_, index) =>
    virtualServer(`web-${index}`, `10.96.${index >> 8}.${index & 255}`, second * (services - index), {
      1: { connections: second * (services - index), active: index },
    }),
  );
  return tableOf("iptables-nft", ...rows);
}

function contentOf(services = 3, findings: readonly Finding[] | undefined = []): PageContent {
  const meter = new RateMeter();
  const history = new RateHistory();
  meter.add({ table: tableAt(0, services), atMs: 0 });
  const load = meter.add({ table: tableAt(1, services), atMs: 1_000 });
  history.add(load);
  const basic = { node: "node1", mode: "iptables", source: "iptables-nft", version: "1.2.3" };
  return { ...basic, nowMs, load, history, syncs: [], findings };
}

const query = readQuery(new URLSearchParams());

describe("html", () => {
  test("escapes whatever is put in", () => {
    expect(html`<p title="${`"'`}">${"<b>&"}</p>`.text).toBe('<p title="&quot;&#39;">&lt;b&gt;&amp;</p>');
    expect(html`${[1, html`<br>`, undefined, [new Html("&"), "&"]]}`.text).toBe("1<br>&&amp;");
  });

  test("lets no text become markup", () => {
    fc.assert(fc.property(fc.string(), (text) => !/[<>"']/.test(html`${text}`.text)));
  });
});

describe("the document", () => {
  test("has the busiest Services first, and each with its numbers", () => {
    const text = pageDocument(contentOf(), query);
    const names = [...text.matchAll(/>ns\/(web-\d):http</g)].map(([, name]) => name);
    expect(names).toEqual(["web-0", "web-1", "web-2"]);
    expect(text).toContain("<title>node1 - kube-sluice</title>");
    expect(text).toContain('href="?service=ns%2Fweb-0%3Ahttp"');
  });

  test("shows a hundred Services and leads to the others", () => {
    const content = contentOf(150);
    expect(pageDocument(content, query).match(/<tr><td><a/g)).toHaveLength(100);
    expect(pageDocument(content, query)).toContain('<a href="?all=">50 more</a>');
    expect(pageDocument(content, { ...query, all: true }).match(/<tr><td><a/g)).toHaveLength(150);
  });

  test("filters, and keeps the filter in its links", () => {
    const text = pageDocument(contentOf(), readQuery(new URLSearchParams("filter=web-1&sort=active")));
    expect(text.match(/<tr><td><a/g)).toHaveLength(1);
    expect(text).toContain('href="?sort=active&amp;filter=web-1&amp;service=ns%2Fweb-1%3Ahttp"');
    expect(text).toContain('aria-sort="descending"><a href="?sort=active&amp;filter=web-1">active');
  });

  test("shows the endpoints of a Service, and all Services when there is none of that name", () => {
    const one = pageDocument(contentOf(), { ...query, service: "ns/web-0:http" });
    expect(one).toContain("<h2>ns/web-0:http</h2>");
    expect(one).toContain("<td>10.244.0.1:8080 ");
    expect(one).toContain("100.0%");
    expect(pageDocument(contentOf(), { ...query, service: "x" })).toContain("<h2>Services</h2>");
  });

  test("shows findings that are not in order, and counts the others", () => {
    const basic = { id: "lock-held", why: "the why", mend: "the command" } as const;
    const text = pageDocument(
      contentOf(1, [
        { ...basic, level: "error", what: "<bad>" },
        { ...basic, level: "ok", what: "fine" },
      ] as unknown as readonly Finding[]),
      query,
    );
    expect(text).toContain("&lt;bad&gt;");
    expect(text).toContain("<code>the command</code>");
    expect(text).not.toContain("fine");
    expect(text).toContain("1 checks found nothing wrong");
    expect(pageDocument({ ...contentOf(), findings: undefined }, query)).toContain("Being looked for");
  });

  test("nothing that is asked for becomes markup", () => {
    const asked = fc.record({ filter: fc.string(), service: fc.string(), sort: fc.string() });
    const attack = { filter: '"><script>alert(1)</script>', service: "<img>", sort: "<svg>" };
    fc.assert(
      fc.property(asked, (fields) => {
        const text = pageDocument(contentOf(), readQuery(new URLSearchParams(fields)));
        expect(text.match(/<script>/g)).toHaveLength(1);
      }),
      { examples: [[attack]] },
    );
  });

  test("allows its own style and script, and nothing else", () => {
    expect(contentSecurityPolicy).toMatch(
      /^default-src 'none'; style-src 'sha256-[^;]+; script-src 'sha256-/,
    );
    const text = pageDocument(contentOf(), query);
    expect(text).toContain(`<style>${styleSheet}</style>`);
    expect(text).toContain(`<script>${script}</script>`);
    expect(text).not.toMatch(/ style=| on[a-z]+=|https?:/);
  });
});

describe("charts", () => {
  test("a line stays in its box, whatever the values", () => {
    const values = fc.array(fc.double({ min: 0, max: 1e12, noNaN: true }), { maxLength: 70, size: "max" });
    fc.assert(
      fc.property(values, (list) => {
        const points = /points="([^"]*)"/.exec(sparkline(list, "x").text)?.[1] ?? "";
        for (const point of points.split(" ").filter((text) => text !== "")) {
          const [x = -1, y = -1] = point.split(",").map(Number);
          expect(x).toBeGreaterThanOrEqual(0);
          expect(x).toBeLessThanOrEqual(96);
          expect(y).toBeGreaterThanOrEqual(0);
          expect(y).toBeLessThanOrEqual(20);
        }
      }),
    );
  });

  test("the timeline shows the last minutes, and failures with their reason", () => {
    const history = new SyncHistory();
    const report = { written: 3, removed: 1, repaired: 0 };
    const outcome = { family: "IPv4", scope: "changes", totalMs: 12, report } as unknown as SyncOutcome;
    const failure = { family: "IPv6", scope: "everything", totalMs: 5 } as unknown as SyncFailure;
    history.synced(outcome, nowMs - 3_600_000);
    history.synced(outcome, nowMs - 60_000);
    history.failed(failure, "refused <x>", nowMs - 1_000);
    const { text } = timeline(history.entries, nowMs);
    expect(text.match(/<rect /g)).toHaveLength(2);
    expect(text).toContain('class="changes"');
    expect(text).toContain("<title>03:04:04 IPv6 everything: 5 ms, refused &lt;x&gt;</title>");
  });
});

describe("histories", () => {
  test("of syncs keep the last ones", () => {
    const history = new SyncHistory();
    for (let index = 0; index < 1_000; index++) {
      const failure = { family: "IPv4", scope: "changes", totalMs: index } as unknown as SyncFailure;
      history.failed(failure, "x", nowMs + index);
    }
    expect(history.entries).toHaveLength(300);
    expect(history.entries.at(-1)?.durationMs).toBe(999);
  });

  test("of rates are bounded in time, and forget Services that rest", () => {
    const meter = new RateMeter();
    const history = new RateHistory();
    const at = (second: number, connections: number): void => {
      const table = tableOf("ipvs", virtualServer("web", "10.96.0.1", connections, {}));
      history.add(meter.add({ table, atMs: second * 1000 }));
    };
    at(0, 0);
    expect(history.newPerSecond).toEqual([]);
    at(1, 5);
    expect(history.ofService("ns/web:http")).toEqual([5]);
    for (let second = 2; second < 100; second++) {
      at(second, 5);
    }
    expect(history.newPerSecond).toHaveLength(keptLooks);
    expect(history.ofService("ns/web:http")).toEqual([]);
  });
});

describe("LivePage", () => {
  interface Seen {
    page: LivePage;
    reads: number;
    examinations: number;
    now: number;
  }

  function live(readTable: () => Promise<ServiceTable> = () => Promise.resolve(tableAt(1))): Seen {
    const seen = { reads: 0, examinations: 0, now: 0 };
    const page = new LivePage({
      node: "node1",
      version: "1.2.3",
      mode: () => "iptables",
      syncs: new SyncHistory(),
      readTable: () => {
        seen.reads += 1;
        return readTable();
      },
      examine: () => {
        seen.examinations += 1;
        return Promise.resolve([]);
      },
      now: () => seen.now,
      wallClock: () => nowMs,
    });
    return Object.assign(seen, { page });
  }

  test("does not look at the kernel until asked, and shares looks among viewers", async () => {
    const seen = live();
    expect(seen.reads).toBe(0);
    const replies = await Promise.all([1, 2, 3].map(() => seen.page.reply(new URLSearchParams())));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(seen).toMatchObject({ reads: 1, examinations: 1 });
    seen.now = 2_000;
    await seen.page.reply(new URLSearchParams());
    expect(seen).toMatchObject({ reads: 2, examinations: 1 });
    seen.now = 120_000;
    await seen.page.reply(new URLSearchParams());
    expect(seen).toMatchObject({ reads: 3, examinations: 2 });
  });

  test("says why it cannot look, and tries again", async () => {
    let broken = true;
    const seen = live(() =>
      broken ? Promise.reject(new Error("no permission")) : Promise.resolve(tableAt(1)),
    );
    const reply = await seen.page.reply(new URLSearchParams());
    expect(reply).toMatchObject({ status: 503, body: "Cannot read the table of Services: no permission\n" });
    broken = false;
    expect(await seen.page.reply(new URLSearchParams())).toMatchObject({ status: 200 });
  });
});
