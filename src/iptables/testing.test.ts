/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { FakeKernel } from "./testing.ts";
import { testKernelContract } from "./testing-contract.ts";

testKernelContract("FakeKernel, as any kernel", () => {
  const kernel = new FakeKernel();
  return { kernel, save: () => kernel.save() };
});

describe("FakeKernel.write()", () => {
  test("refuses what it is told to, with or without the line", async () => {
    const kernel = new FakeKernel();
    kernel.refuse = (line) => (line.includes("bad") ? "told so" : undefined);
    const text = ["*nat\n:bad - [0:0]\nCOMMIT\n"];
    await expect(kernel.write(text)).rejects.toMatchObject({ message: "told so", line: 2 });
    kernel.nameLines = false;
    await expect(kernel.write(text)).rejects.toMatchObject({ message: "told so", line: undefined });
    expect(await kernel.hasChain("nat", "bad")).toBe(false);
  });

  test("fails so often as it is told to, and keeps the texts", async () => {
    const kernel = new FakeKernel();
    kernel.failures = 1;
    await expect(kernel.write(["*nat\n:A - [0:0]\n", "COMMIT\n"])).rejects.toMatchObject({ code: "died" });
    expect(await kernel.hasChain("nat", "A")).toBe(false);
    await kernel.write(["*nat\n:A - [0:0]\n", "COMMIT\n"]);
    expect(kernel.writes).toEqual(Array(2).fill("*nat\n:A - [0:0]\nCOMMIT\n"));
  });

  test.each([":OUTPUT ACCEPT [0:0]", "-E A B", "*filter"])(
    "refuses %j, which nobody should send",
    async (line) => {
      await expect(new FakeKernel().write([`*nat\n:A - [0:0]\n${line}\nCOMMIT\n`])).rejects.toMatchObject({
        line: 3,
      });
    },
  );

  test("refuses a table without its COMMIT", async () => {
    await expect(new FakeKernel().write(["*nat\n"])).rejects.toThrow("COMMIT expected");
  });
});

test("FakeKernel.flush() and edit() change what read() finds", async () => {
  const kernel = new FakeKernel();
  await kernel.write(["*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n"]);
  kernel.edit("nat", "KUBE-SERVICES", (lines) => [...lines, "-A KUBE-SERVICES -j ACCEPT"]);
  expect((await kernel.read()).get("nat", "KUBE-SERVICES")?.rules).toBe(1);
  kernel.flush();
  expect((await kernel.read()).get("nat", "KUBE-SERVICES")).toBeUndefined();
});
