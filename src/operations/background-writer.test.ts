/**
 * Tests of the background writer: order, loss, and descriptors that stall, fail or are busy.
 *
 * @module
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { BackgroundWriter, type WriteSome } from "./background-writer.ts";

test("BackgroundWriter writes lines to a descriptor in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-log-"));
  const file = join(folder, "log");
  const fd = openSync(file, "w");
  try {
    const writer = new BackgroundWriter(fd);
    writer.write("one\n");
    writer.write("two – ünï\n");
    await writer.flush();
    writer.write("three\n");
    await writer.flush();
    expect(readFileSync(file, "utf8")).toBe("one\ntwo – ünï\nthree\n");
    expect(writer.lostLines).toBe(0);
  } finally {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  }
});

test("BackgroundWriter counts lines as lost when the descriptor fails, and goes on", async () => {
  const fd = openSync("/dev/null", "r");
  try {
    const writer = new BackgroundWriter(fd);
    writer.write("one\n");
    writer.write("two\n");
    await writer.flush();
    expect(writer.lostLines).toBe(2);
  } finally {
    closeSync(fd);
  }
});

test("BackgroundWriter loses lines that find no room while nobody reads", async () => {
  let release = (): void => {};
  const written: string[] = [];
  const stalled: WriteSome = (_, bytes) =>
    new Promise((resolve) => {
      written.push(Buffer.from(bytes).toString());
      release = () => resolve(bytes.length);
    });
  const writer = new BackgroundWriter(2, 8, stalled);
  for (const line of ["aaa\n", "bbb\n", "ccc\n", "d\n"]) {
    writer.write(line);
  }
  expect(writer.lostLines).toBe(1);
  release();
  await new Promise((resolve) => setImmediate(resolve));
  release();
  await writer.flush();
  expect(written).toEqual(["aaa\n", "bbb\nccc\n"]);
});

test("BackgroundWriter tries again when the descriptor is busy or takes only a part", async () => {
  const taken = fc.array(fc.oneof(fc.constant("busy" as const), fc.integer({ min: 1, max: 5 })), {
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ minLength: 1 }), { maxLength: 8 }),
      taken,
      async (texts, script) => {
        const steps = [...script];
        let output = Buffer.alloc(0);
        const partial: WriteSome = (_, bytes) => {
          const step = steps.shift() ?? bytes.length;
          if (step === "busy") {
            return Promise.reject(Object.assign(new Error("again"), { code: "EAGAIN" }));
          }
          const count = Math.min(step, bytes.length);
          output = Buffer.concat([output, bytes.subarray(0, count)]);
          return Promise.resolve(count);
        };
        const writer = new BackgroundWriter(2, undefined, partial, () => Promise.resolve());
        for (const text of texts) {
          writer.write(text);
        }
        await writer.flush();
        expect(output.toString()).toBe(texts.join(""));
        expect(writer.lostLines).toBe(0);
      },
    ),
  );
});
