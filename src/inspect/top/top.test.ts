/**
 * @module
 */
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keysOf } from "./keys.ts";
import { shortNumber } from "./numbers.ts";
import { leastSize, page, roomFor } from "./page.ts";
import { type NodeLoad, RateMeter } from "./rate-meter.ts";
import { repaint } from "./screen.ts";
import { tableOf, virtualServer } from "./testing.ts";
import { rateJson, rateText } from "./text.ts";
import { firstView, fitted, listed, press, type View } from "./view.ts";

const head = { host: "node1", source: "ipvs", time: "12:00:00", intervalSeconds: 2 };

/** Services `s0` …, of which each has one more new connection in a second than the one before. */
function loadOf(count: number): NodeLoad {
  const look = (factor: number): ReturnType<typeof tableOf> =>
    tableOf(
      "ipvs",
      ...Array.from({ length: count }, (_, index) =>
        virtualServer(`s${index}`, `10.96.${index >> 8}.${index & 255}`, index * factor, {
          1: { connections: index * factor, active: count - index },
          2: { connections: 0, active: 0 },
        }),
      ),
    );
  const meter = new RateMeter();
  meter.add({ table: look(0), atMs: 0 });
  return meter.add({ table: look(1), atMs: 1_000 });
}

function pressAll(view: View, input: string, load: NodeLoad, lines = 10): View {
  return keysOf(input).reduce((now, key) => {
    const step = press(now, key, listed(load, now), lines);
    if (step === "quit") {
      throw new Error(`quit by ${key}`);
    }
    return step.view;
  }, view);
}

const names = (load: NodeLoad, view: View): readonly string[] =>
  listed(load, view).map(({ name }) => name.replace(/^ns\/(.*):http$/, "$1"));

describe("keys", () => {
  test.each([
    ["\x1b[A\x1b[B\x1b[5~\x1b[6~", ["up", "down", "page-up", "page-down"]],
    ["\x1bOH\x1b[F", ["home", "end"]],
    ["a/\r\x7f", ["a", "/", "enter", "backspace"]],
    ["\x1b", ["escape"]],
    ["\x1b[1;5Cq", ["q"]],
    ["\x03", ["interrupt"]],
    ["\x07\x00x", ["x"]],
  ])("of %j are known", (input, keys) => {
    expect(keysOf(input)).toEqual(keys);
  });

  test("of any input come to an end", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (input) => keysOf(input).every((key) => key !== "")),
    );
  });
});

describe("the view", () => {
  const load = loadOf(30);

  test("sorts by each column, names last in the choice of equals", () => {
    expect(names(load, firstView).slice(0, 2)).toEqual(["s29", "s28"]);
    expect(names(load, pressAll(firstView, "a", load)).slice(0, 2)).toEqual(["s0", "s1"]);
    expect(names(load, pressAll(firstView, "ar", load)).slice(0, 2)).toEqual(["s29", "s28"]);
    expect(names(load, pressAll(firstView, "n", load)).slice(0, 3)).toEqual(["s0", "s10", "s11"]);
    expect(names(load, pressAll(firstView, "b", load)).slice(0, 3)).toEqual(["s0", "s10", "s11"]);
  });

  test("filters by name and by address, as it is typed", () => {
    expect(names(load, pressAll(firstView, "/S2", load))).toHaveLength(11);
    expect(names(load, pressAll(firstView, "/10.96.0.7:\r", load))).toEqual(["s7"]);
    expect(names(load, pressAll(firstView, "/s2\x7f\x7f", load))).toHaveLength(30);
    expect(names(load, pressAll(firstView, "/s2\x1b", load))).toHaveLength(30);
    expect(pressAll(firstView, "/qa\r", load)).toMatchObject({ filter: "qa", isTyping: false, sort: "new" });
  });

  test("opens the marked Service and goes back to where it was", () => {
    const opened = pressAll(firstView, "\x1b[B\x1b[B\r", load);
    expect(opened).toMatchObject({ opened: "ns/s27:http", selected: 2 });
    expect(pressAll(opened, "\x1b", load)).toMatchObject({ opened: undefined, selected: 2 });
  });

  test("freezes and goes on", () => {
    expect(pressAll(firstView, "f", load).isFrozen).toBe(true);
    expect(pressAll(firstView, "f ", load).isFrozen).toBe(false);
  });

  test.each(["q", "\x03"])("ends by %j", (input) => {
    const [key = ""] = keysOf(input);
    expect(press(firstView, key, [], 10)).toBe("quit");
    expect(press({ ...firstView, isTyping: true }, "q", [], 10)).not.toBe("quit");
  });

  test("keeps the marked line among the Services and on the screen, whatever is pressed", () => {
    const key = fc.constantFrom("up", "down", "page-up", "page-down", "home", "end", "r", "a", "x");
    fc.assert(
      fc.property(
        fc.array(key, { maxLength: 40, size: "max" }),
        fc.integer({ min: 1, max: 40 }),
        (keys, lines) => {
          let view = firstView;
          for (const one of keys) {
            const step = press(view, one, listed(load, view), lines);
            view = step === "quit" ? view : fitted(step.view, 30, lines);
            expect(view.selected).toBeGreaterThanOrEqual(0);
            expect(view.selected).toBeLessThan(30);
            expect(view.selected - view.offset).toBeGreaterThanOrEqual(0);
            expect(view.selected - view.offset).toBeLessThan(lines);
          }
        },
      ),
    );
  });

  test("has no marked line below 0 when there is nothing", () => {
    expect(fitted({ ...firstView, selected: 5, offset: 3 }, 0, 10)).toMatchObject({ selected: 0, offset: 0 });
  });
});

const plain = stripVTControlCharacters;

describe("the page", () => {
  test("fills the terminal exactly, at any size", () => {
    const load = loadOf(50);
    const size = fc.record({
      columns: fc.integer({ min: 1, max: 250 }),
      rows: fc.integer({ min: 1, max: 80 }),
    });
    fc.assert(
      fc.property(size, fc.constantFrom(undefined, "ns/s3:http"), (one, opened) => {
        const lines = page(head, load, listed(load, firstView), { ...firstView, opened }, one);
        expect(lines).toHaveLength(one.rows);
        for (const line of lines) {
          expect(plain(line).length).toBeLessThanOrEqual(one.columns);
        }
      }),
    );
  });

  test("shows Services with their numbers, the marked one in reverse", () => {
    const load = loadOf(10_000);
    const services = listed(load, firstView);
    const lines = page(head, load, services, firstView, { columns: 120, rows: 40 });
    expect(plain(lines[0] ?? "")).toMatch(/^kube-sluice top {2}node1 {2}ipvs {2}10000 Service ports/);
    expect(lines[3]?.startsWith("\x1b[7mns/s9999:http ")).toBe(true);
    expect(plain(lines[3] ?? "")).toMatch(/^ns\/s9999:http +10\.0k +1 +2 +- +2\.00 +2$/);
    expect(lines.filter((line) => line.includes("ns/s"))).toHaveLength(roomFor({ columns: 120, rows: 40 }));
  });

  test("shows the endpoints of a Service with their shares", () => {
    const load = loadOf(20);
    const view = { ...firstView, opened: "ns/s12:http" };
    const lines = page(head, load, listed(load, view), view, { columns: 120, rows: 20 }).map(plain);
    expect(lines[2]).toContain("ns/s12:http  random  TCP 10.96.0.12:80");
    expect(lines[4]).toMatch(/^10\.244\.0\.1:8080 +1 +12 +8 +1 +- +100\.0% #{20}$/);
    expect(lines[5]).toMatch(/^10\.244\.0\.2:8080 +1 +0 +0 +1 +- +0\.0% $/);
  });

  test("says that the terminal is too small", () => {
    const lines = page(head, loadOf(1), [], firstView, { columns: 20, rows: 5 });
    expect(lines[0]).toBe(
      `top needs ${leastSize.columns} columns and 8 lines, here are 20 and 5`.slice(0, 20),
    );
  });
});

describe("repaint()", () => {
  test("writes what differs and nothing else", () => {
    expect(repaint(["a", "b", "c"], ["a", "x", "c"])).toBe("\x1b[?2026h\x1b[2;1Hx\x1b[K\x1b[?2026l");
    expect(repaint(["a"], ["a"])).toBe("");
    expect(repaint(undefined, ["a", ""])).toBe("\x1b[?2026h\x1b[1;1Ha\x1b[K\x1b[2;1H\x1b[K\x1b[?2026l");
  });
});

describe("for what is no terminal", () => {
  test("there is a line for each Service", () => {
    const load = loadOf(2);
    expect(rateText(listed(load, firstView)).split("\n")).toEqual([
      "    NEW/S     ACTIVE      INACT    BYTES/S       SKEW  ENDPOINTS  SERVICE",
      "        1          1          2          -          -          2  ns/s1:http",
      "        0          2          2          -          -          2  ns/s0:http",
      "",
    ]);
  });

  test("there is JSON with everything", () => {
    const load = loadOf(1);
    expect(JSON.parse(rateJson(load, load.services))).toEqual({ services: load.services, total: load.total });
  });
});

test.each([
  [undefined, "-"],
  [0, "0"],
  [0.5, "0.50"],
  [12.34, "12.3"],
  [999, "999"],
  [999.6, "1.00k"],
  [12_345, "12.3k"],
  [1_234_567, "1.23M"],
  [5e12, "5.00T"],
])("shortNumber(%j) is %j", (value, text) => {
  expect(shortNumber(value)).toBe(text);
});
