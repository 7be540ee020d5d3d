/**
 * The look of the page: one style sheet and one script, both inside it, so that it needs nothing from anywhere.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Light and dark as the viewer's system is; one column on narrow screens. */
export const styleSheet = `
:root { color-scheme: light dark; --line: #d0d7de; --faint: #59636e; --accent: #0a5cc4; --bad: #b3261e; --odd: #8a5a00; --good: #1a6e35; --panel: #f6f8fa; --back: #fff; --ink: #1f2328; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --faint: #9aa4af; --accent: #6cb0ff; --bad: #ff8a80; --odd: #e3b341; --good: #5fd07a; --panel: #161b22; --back: #0d1117; --ink: #e6edf3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
header, main { max-width: 75rem; margin: 0 auto; padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
a { color: var(--accent); } p { margin: .4rem 0; }
form { display: flex; gap: .5rem; margin-left: auto; }
input, button { font: inherit; color: inherit; background: var(--panel); border: 1px solid var(--line); border-radius: .35rem; padding: .25rem .6rem; min-width: 0; }
.faint { color: var(--faint); } .bad { color: var(--bad); } .odd { color: var(--odd); } .good { color: var(--good); }
.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; }
.totals div { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.totals strong { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, .left { text-align: left; } th { font-weight: 600; color: var(--faint); }
td.wide { white-space: normal; text-align: left; }
.spark { vertical-align: middle; } .spark polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.bar rect { fill: var(--accent); }
body.stale main { opacity: .5; }
.timeline { width: 100%; height: 60px; background: var(--panel); border: 1px solid var(--line); border-radius: .35rem; }
rect.changes { fill: var(--accent); } rect.everything { fill: var(--good); } rect.failed { fill: var(--bad); }
code { background: var(--panel); padding: .1rem .3rem; border-radius: .25rem; white-space: pre-wrap; overflow-wrap: anywhere; }
li { margin: .5rem 0; } ul { padding-left: 1.2rem; }
@media (max-width: 40rem) { .optional { display: none; } form { margin-left: 0; width: 100%; } input { flex: 1; } th, td { padding: .3rem .35rem; } td:first-child { white-space: normal; overflow-wrap: anywhere; } }
`;

/** Reads the page again while somebody looks, and puts the new content in the place of the old one. */
export const script = `
const again = async () => {
  if (!document.hidden) {
    try {
      const reply = await fetch(location.href, { cache: "no-store" });
      if (reply.ok) {
        const next = new DOMParser().parseFromString(await reply.text(), "text/html").querySelector("main");
        const shown = document.querySelector("main");
        if (next && shown && !document.getSelection()?.toString()) shown.replaceWith(next);
      }
      document.body.classList.toggle("stale", !reply.ok);
    } catch {
      document.body.classList.add("stale");
    }
  }
  setTimeout(again, 2000);
};
setTimeout(again, 2000);
`;

/** What the browser may do with the page: show it, with this style and script, and read it again. */
export const contentSecurityPolicy: string = [
  "default-src 'none'",
  `style-src ${hashOf(styleSheet)}`,
  `script-src ${hashOf(script)}`,
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A source expression of CSP level 2: the hash of what stands between the tags. */
function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
