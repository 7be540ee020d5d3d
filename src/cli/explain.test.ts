/**
 * @module
 */
import { afterEach, expect, test, vi } from "vitest";
import { loadConfig } from "../config/load-config.ts";
import { Logging } from "../operations/logger.ts";
import { explainConnection } from "./explain.ts";
import { splitExplainOptions } from "./explain-options.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("reading the kernel takes root, and says what does not", async () => {
  vi.spyOn(process, "getuid").mockReturnValue(1000);
  const { options, rest } = splitExplainOptions(["--from=10.244.1.2", "--to=10.96.0.10:80"]);
  const startup = await loadConfig({
    argv: rest,
    readFile: () => Promise.reject(new Error("no file")),
    hostName: "node1",
    nodeNameVariable: undefined,
  });
  if (startup.action !== "run") {
    throw new TypeError(`Cannot test: the action is ${startup.action}`);
  }
  const log = new Logging({ format: "text", verbosity: { verbosity: 0, vmodule: [] } }).component("test");
  await expect(explainConnection(startup, options, log)).rejects.toMatchObject({
    exitStatus: 2,
    message: "explain reads this node's kernel and needs root for that; --manifests DIR does not",
  });
});
