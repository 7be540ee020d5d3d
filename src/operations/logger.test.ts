/**
 * Tests of the logger: exact lines of both formats, levels, and what survives bad input.
 *
 * @module
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorText, type LogFormat, Logging } from "./logger.ts";

const time = Date.UTC(2026, 10, 21, 10, 0, 0, 123);

function loggingTo(
  lines: string[],
  format: LogFormat,
  verbosity = 0,
  modules: { filePattern: string; verbosity: number }[] = [],
) {
  return new Logging({
    format,
    verbosity: { verbosity, vmodule: modules },
    sink: { write: (line) => void lines.push(line), flush: async () => {}, lostLines: 0 },
    clock: { wallMs: () => time },
    pid: 4711,
  });
}

describe("text format", () => {
  test.each([
    [
      (log: ReturnType<Logging["component"]>) =>
        log.info("Sync complete", { services: 12, elapsed: "4ms", full: true }),
      'I1121 10:00:00.123000    4711 iptables:0] "Sync complete" services=12 elapsed="4ms" full=true\n',
    ],
    [
      (log: ReturnType<Logging["component"]>) =>
        log.error("Sync failed", { err: new Error("Cannot load rules", { cause: new Error("exit 4") }) }),
      'E1121 10:00:00.123000    4711 iptables:0] "Sync failed" err="Cannot load rules: exit 4"\n',
    ],
    [
      (log: ReturnType<Logging["component"]>) =>
        log.warning("Odd", { addresses: ["10.0.0.1", "fd00::1"], nothing: undefined }),
      'W1121 10:00:00.123000    4711 iptables:0] "Odd" addresses=["10.0.0.1","fd00::1"]\n',
    ],
    [
      (log: ReturnType<Logging["component"]>) => log.info('Say "hi"\n', { text: 'a\n"b"\u0000' }),
      'I1121 10:00:00.123000    4711 iptables:0] "Say \\"hi\\"\\n" text="a\\n\\"b\\"\\u0000"\n',
    ],
  ])("Logging writes the exact line (%#)", (write, line) => {
    const lines: string[] = [];
    write(loggingTo(lines, "text").component("iptables"));
    expect(lines).toEqual([line]);
  });
});

describe("json format", () => {
  test("Logging writes severity, verbosity, time, component, fields and message", () => {
    const lines: string[] = [];
    const log = loggingTo(lines, "json", 2).component("kube");
    log.info("Caches populated", { resource: "services" }, 2);
    log.warning("Odd");
    log.error("Sync failed", { err: new Error("no") });
    expect(lines).toEqual([
      `{"level":"info","v":2,"ts":${time},"caller":"kube:0","resource":"services","msg":"Caches populated"}\n`,
      `{"level":"warning","ts":${time},"caller":"kube:0","msg":"Odd"}\n`,
      `{"level":"error","ts":${time},"caller":"kube:0","err":"no","msg":"Sync failed"}\n`,
    ]);
  });
});

describe("verbosity", () => {
  test("info() shows lines up to the level, error() and warning() always", () => {
    for (let level = 0; level <= 9; level++) {
      const lines: string[] = [];
      const log = loggingTo(lines, "json", level).component("kube");
      for (const verbosity of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const) {
        log.info("x", {}, verbosity);
        expect(log.isVerbose(verbosity)).toBe(verbosity <= level);
      }
      log.warning("x");
      log.error("x");
      expect(lines).toHaveLength(level + 3);
    }
  });

  test("setVerbosity() reaches loggers that were handed out before", () => {
    const lines: string[] = [];
    const logging = loggingTo(lines, "text");
    const log = logging.component("kube");
    log.info("before", {}, 4);
    logging.setVerbosity({ verbosity: 0, vmodule: [{ filePattern: "ku*", verbosity: 4 }] });
    log.info("after", {}, 4);
    logging.component("iptables").info("other", {}, 4);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('"after"');
    expect(logging.verbosity.vmodule).toHaveLength(1);
  });

  test("component() respects exceptions by name from the start", () => {
    const lines: string[] = [];
    const logging = loggingTo(lines, "text", 0, [{ filePattern: "kube", verbosity: 3 }]);
    logging.component("kube").info("x", {}, 3);
    logging.component("ipvs").info("x", {}, 3);
    expect(lines).toHaveLength(1);
  });

  test("setFormat() changes the format of loggers that were handed out before", () => {
    const lines: string[] = [];
    const logging = loggingTo(lines, "text");
    const log = logging.component("kube");
    logging.setFormat("json");
    log.info("x");
    expect(lines[0]?.startsWith("{")).toBe(true);
  });
});

describe("robustness", () => {
  test("Logging writes one line whatever is in message and fields", () => {
    const value = fc.oneof(fc.string({ unit: "binary" }), fc.double(), fc.boolean(), fc.array(fc.string()));
    const name = fc
      .string({ minLength: 1 })
      .filter((key) => !["level", "ts", "v", "caller", "msg"].includes(key));
    fc.assert(
      fc.property(
        fc.constantFrom<LogFormat>("text", "json"),
        fc.string({ unit: "binary" }),
        fc.dictionary(name, value),
        (format, message, fields) => {
          const lines: string[] = [];
          loggingTo(lines, format).component("kube").info(message, fields);
          expect(lines).toHaveLength(1);
          expect(lines[0]?.indexOf("\n")).toBe((lines[0]?.length ?? 0) - 1);
        },
      ),
    );
  });

  test("flush() waits for the sink, and lostLines shows what it lost", async () => {
    let flushed = false;
    const sink = {
      write: () => {},
      flush: () => {
        flushed = true;
        return Promise.resolve();
      },
      lostLines: 3,
    };
    const logging = new Logging({ format: "text", verbosity: { verbosity: 0, vmodule: [] }, sink });
    logging.component("kube").info("x");
    await logging.flush();
    expect(flushed).toBe(true);
    expect(logging.lostLines).toBe(3);
  });

  test("errorText() joins the causes that say something new", () => {
    const cause = new Error("EACCES: permission denied");
    expect(errorText(new Error("Cannot read config", { cause }))).toBe(
      "Cannot read config: EACCES: permission denied",
    );
    expect(errorText(new Error(`Cannot read config: ${cause.message}`, { cause }))).toBe(
      "Cannot read config: EACCES: permission denied",
    );
    expect(errorText("plain")).toBe("plain");
  });
});
