/**
 * Small charts as SVG inside the page.
 *
 * Pure. Colours are those of the page: `currentColor` and its variables.
 *
 * @module
 */
import { type Html, html } from "./html.ts";
import type { SyncEntry } from "./sync-history.ts";

/** A line over values from old to new, the highest at the top edge; flat while there are fewer than two. */
export function sparkline(values: readonly number[], label: string, width = 96): Html {
  const height = 20;
  const highest = Math.max(...values, 1e-9);
  const step = width / Math.max(1, values.length - 1);
  const points = values
    .map((value, index) => `${round(index * step)},${round(height - 1 - (value / highest) * (height - 2))}`)
    .join(" ");
  return html`<svg class="spark" role="img" aria-label="${label}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" preserveAspectRatio="none"><polyline points="${points}"/></svg>`;
}

/** The span of time that {@link timeline} shows. */
export const timelineMs: number = 15 * 60_000;

const timelineWidth = 900;
const timelineHeight = 60;

/** Syncs as bars from left to now, as high as they took long, in steps of a factor of ten from 1 ms to 100 s. */
export function timeline(syncs: readonly SyncEntry[], nowMs: number): Html {
  const bars = syncs
    .filter(({ atMs }) => nowMs - atMs < timelineMs)
    .map((sync) => {
      const x = round((1 - (nowMs - sync.atMs) / timelineMs) * timelineWidth);
      const scaled = Math.log10(Math.max(1, sync.durationMs)) / 5;
      const size = round(Math.max(3, Math.min(1, scaled) * timelineHeight));
      const kind = sync.failure === undefined ? sync.scope : "failed";
      return html`<rect class="${kind}" x="${x}" y="${round(timelineHeight - size)}" width="3" height="${size}"><title>${syncText(sync)}</title></rect>`;
    });
  const label = `${bars.length} syncs in the last ${timelineMs / 60_000} minutes`;
  return html`<svg class="timeline" role="img" aria-label="${label}" viewBox="0 0 ${timelineWidth + 3} ${timelineHeight}" preserveAspectRatio="none">${bars}</svg>`;
}

function syncText({ at, family, scope, durationMs, written, removed, failure }: SyncEntry): string {
  const what = failure ?? `${written} written, ${removed} removed`;
  return `${at} ${family} ${scope}: ${Math.round(durationMs)} ms, ${what}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
