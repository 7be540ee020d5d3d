/**
 * The page: what this node does with Services, as one HTML document that can be read without a script.
 *
 * Pure.
 *
 * @module
 */
import type { Finding } from "../doctor/finding.ts";
import { shortNumber, skewText } from "../top/numbers.ts";
import type { EndpointLoad, NodeLoad, ServiceLoad } from "../top/rate-meter.ts";
import { firstView, listed, type SortKey } from "../top/view.ts";
import { sparkline, timeline } from "./charts.ts";
import { Html, html } from "./html.ts";
import type { RateHistory } from "./rate-history.ts";
import { contentSecurityPolicy, script, styleSheet } from "./style.ts";
import type { SyncEntry } from "./sync-history.ts";

/** What is asked for in the address of the page. */
export interface PageQuery {
  readonly sort: SortKey;
  /** Part of the names, or frontends, of Services. */
  readonly filter: string;
  /** Name of the Service port whose endpoints are shown. */
  readonly service: string | undefined;
  /** Whether all Services are shown and not the first of them only. */
  readonly all: boolean;
}

/** What is shown. */
export interface PageContent {
  readonly node: string;
  readonly mode: string;
  /** Where the table was read. */
  readonly source: string;
  readonly version: string;
  readonly nowMs: number;
  readonly load: NodeLoad;
  readonly history: RateHistory;
  readonly syncs: readonly SyncEntry[];
  /** Undefined while they are being looked for the first time. */
  readonly findings: readonly Finding[] | undefined;
}

/** Services on the page unless all are asked for. */
const shownServices = 100;

/** Syncs in the table below the timeline. */
const shownSyncs = 10;

const sortKeys: readonly SortKey[] = ["new", "active", "bytes", "skew", "name"];

/** Reads the query of an address; what makes no sense is left out. */
export function readQuery(query: URLSearchParams): PageQuery {
  const sort = query.get("sort");
  return {
    sort: sortKeys.find((key) => key === sort) ?? firstView.sort,
    filter: (query.get("filter") ?? "").slice(0, 253),
    service: query.get("service") ?? undefined,
    all: query.has("all"),
  };
}

/** Headers that go with the document. */
export const pageHeaders: Readonly<Record<string, string>> = {
  "Content-Type": "text/html; charset=utf-8",
  "Cache-Control": "no-store",
  "Content-Security-Policy": contentSecurityPolicy,
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/** The document. */
export function pageDocument(content: PageContent, query: PageQuery): string {
  const { node, mode, version } = content;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${node} - kube-sluice</title>
<noscript><meta http-equiv="refresh" content="10"></noscript>
<style>${new Html(styleSheet)}</style>
</head>
<body>
<header>
<h1>${node}</h1>
<span class="faint">${mode} mode, kube-sluice ${version}</span>
<form method="get" role="search"><input type="search" name="filter" value="${query.filter}" placeholder="Service or address" aria-label="Show only Services with"><button>Filter</button></form>
</header>
<main>
${mainPart(content, query)}
</main>
<script>${new Html(script)}</script>
</body>
</html>
`.text;
}

function mainPart(content: PageContent, query: PageQuery): Html {
  const opened = content.load.services.find(({ name }) => name === query.service);
  return html`${totals(content)}
${opened === undefined ? serviceSection(content, query) : endpointSection(opened, content, query)}
${syncSection(content)}
${findingSection(content.findings)}
<p class="faint">Read from ${content.source} at ${new Date(content.nowMs).toISOString().slice(0, 19)}Z.</p>`;
}

function totals({ load, history }: PageContent): Html {
  const { newPerSecond, active, inactive, bytesPerSecond } = load.total;
  return html`<div class="totals">
<div>new connections <strong>${shortNumber(newPerSecond)}/s</strong>${sparkline(history.newPerSecond, "new connections per second")}</div>
<div>traffic <strong>${bytesPerSecond === undefined ? "not counted" : `${shortNumber(bytesPerSecond)}B/s`}</strong>${sparkline(history.bytesPerSecond, "bytes per second")}</div>
<div>active connections <strong>${shortNumber(active)}</strong></div>
<div>inactive connections <strong>${shortNumber(inactive)}</strong></div>
<div>Service ports <strong>${load.services.length}</strong></div>
</div>`;
}

function serviceSection({ load, history }: PageContent, query: PageQuery): Html {
  const services = listed(load, { ...firstView, sort: query.sort, filter: query.filter });
  const shown = query.all ? services : services.slice(0, shownServices);
  const rows = shown.map(
    (
      service,
    ) => html`<tr><td><a href="${addressOf({ ...query, service: service.name })}">${service.name}</a></td>
<td class="optional">${sparkline(history.ofService(service.name), "new connections per second")}</td><td>${shortNumber(service.newPerSecond)}</td><td>${shortNumber(service.active)}</td><td class="optional">${shortNumber(service.bytesPerSecond)}</td><td class="optional">${skewText(service.skew)}</td><td>${service.endpoints.length}</td></tr>
`,
  );
  const rest = services.length - shown.length;
  const more =
    rest === 0 ? undefined : html`<p><a href="${addressOf({ ...query, all: true })}">${rest} more</a></p>`;
  const title = (key: SortKey, text: string, kind = ""): Html =>
    html`<th class="${kind}"${key === query.sort ? new Html(' aria-sort="descending"') : undefined}><a href="${addressOf({ ...query, sort: key })}">${text}</a></th>`;
  return html`<h2>Services</h2>
<div class="scroll"><table>
<thead><tr>${title("name", "Service")}<th class="optional left">last minutes</th>${title("new", "new/s")}${title("active", "active")}${title("bytes", "bytes/s", "optional")}${title("skew", "skew", "optional")}<th>endpoints</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>
${services.length === 0 ? html`<p class="faint">None${query.filter === "" ? "" : ` with ${query.filter}`}.</p>` : undefined}${more}`;
}

function endpointSection(service: ServiceLoad, { history }: PageContent, query: PageQuery): Html {
  const affinity = service.isPersistent ? ", with client affinity" : "";
  return html`<h2>${service.name}</h2>
<p><a href="${addressOf({ ...query, service: undefined })}">All Services</a></p>
<p>${service.frontends.join(", ")} <span class="faint">(${service.scheduler}${affinity})</span></p>
<p>${sparkline(history.ofService(service.name), "new connections per second", 300)} ${shortNumber(service.newPerSecond)} new connections per second, skew ${skewText(service.skew)}</p>
<div class="scroll"><table>
<thead><tr><th>Endpoint</th><th>weight</th><th>new/s</th><th>active</th><th>inactive</th><th class="optional">bytes/s</th><th>share</th><th class="optional left"></th></tr></thead>
<tbody>${service.endpoints.map(endpointRow)}</tbody>
</table></div>
${service.endpoints.length === 0 ? html`<p class="odd">No endpoints: connections are refused.</p>` : undefined}`;
}

function endpointRow(endpoint: EndpointLoad): Html {
  const { name, pod, weight, newPerSecond, active, inactive, bytesPerSecond, share } = endpoint;
  const width = Math.round((share ?? 0) * 100);
  return html`<tr><td>${name} <span class="faint">${pod}</span></td><td>${weight}</td><td>${shortNumber(newPerSecond)}</td><td>${shortNumber(active)}</td><td>${shortNumber(inactive)}</td><td class="optional">${shortNumber(bytesPerSecond)}</td><td>${share === undefined ? "-" : `${(share * 100).toFixed(1)}%`}</td><td class="optional left"><svg class="bar" width="100" height="10" aria-hidden="true"><rect width="${width}" height="10" rx="2"/></svg></td></tr>
`;
}

function syncSection({ syncs, nowMs }: PageContent): Html {
  const last = syncs.slice(-shownSyncs).toReversed();
  const rows = last.map(
    ({ at, family, scope, durationMs, written, removed, repaired, failure }) =>
      html`<tr><td>${at}</td><td class="left">${family}</td><td class="left">${scope}</td><td>${Math.round(durationMs)} ms</td>${
        failure === undefined
          ? html`<td class="wide">${written} written, ${removed} removed${repaired === 0 ? "" : `, ${repaired} of them repaired`}</td>`
          : html`<td class="wide bad">${failure}</td>`
      }</tr>
`,
  );
  return html`<h2>Last syncs</h2>
${timeline(syncs, nowMs)}
${
  last.length === 0
    ? html`<p class="faint">None yet.</p>`
    : html`<div class="scroll"><table><thead><tr><th>UTC</th><th class="left">family</th><th class="left">scope</th><th>took</th><th class="left">outcome</th></tr></thead><tbody>${rows}</tbody></table></div>`
}`;
}

const levelClasses: Readonly<Record<Finding["level"], string>> = {
  error: "bad",
  warning: "odd",
  unknown: "faint",
  ok: "good",
};

function findingSection(findings: readonly Finding[] | undefined): Html {
  if (findings === undefined) {
    return html`<h2>Findings</h2><p class="faint">Being looked for.</p>`;
  }
  const shown = findings.filter(({ level }) => level !== "ok");
  const fine = findings.length - shown.length;
  return html`<h2>Findings</h2>
<ul>${shown.map(
    ({ level, what, why, mend }) =>
      html`<li><strong class="${levelClasses[level]}">${level}</strong> ${what}${
        level === "unknown" ? undefined : html`<br><span class="faint">${why}</span><br><code>${mend}</code>`
      }</li>
`,
  )}</ul>
<p class="good">${fine} checks found nothing wrong.</p>`;
}

function addressOf({ sort, filter, service, all }: PageQuery): string {
  const query = new URLSearchParams({
    ...(sort === firstView.sort ? {} : { sort }),
    ...(filter === "" ? {} : { filter }),
    ...(service === undefined ? {} : { service }),
    ...(all ? { all: "" } : {}),
  }).toString();
  return `?${query}`;
}
