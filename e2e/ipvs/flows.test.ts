/**
 * Every packet of the flow cases in ipvs mode, but for those that the kernel makes impossible (exceptions.ts).
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { flowsFor, loadCases } from "../cases/cases.ts";
import { runCommand } from "../harness/command.ts";
import { nodeProgram } from "../harness/remote-agent.ts";
import { describeOnKernel } from "../harness/requirements.ts";
import { chosenByAddress, kernelExceptions } from "./exceptions.ts";

const run = fileURLToPath(new URL("../uml/run.sh", import.meta.url));
const flows = fileURLToPath(new URL("flows.ts", import.meta.url));
const seconds = 900;

const cases = loadCases().filter(({ backends }) => backends.includes("iptables"));
const total = cases.reduce((sum, one) => sum + flowsFor(one, "iptables").length, 0);

test("every exception is a flow of a case", () => {
  for (const byCase of [...kernelExceptions.map(({ flows: some }) => some), chosenByAddress]) {
    for (const [name, excepted] of Object.entries(byCase)) {
      const found = cases.find((one) => one.name === name);
      const names = found === undefined ? [] : flowsFor(found, "iptables").map((flow) => flow.name);
      expect(names).toEqual(expect.arrayContaining([...excepted]));
    }
  }
});

describeOnKernel("flow cases in ipvs mode", { programs: ["linux.uml", "busybox"] }, () => {
  test(
    "all do what they must",
    async () => {
      const { status, stdout, stderr } = await runCommand([run, "-t", String(seconds), nodeProgram, flows], {
        anyStatus: true,
        timeoutSeconds: seconds + 20,
      });
      expect({ status, stdout, stderr }).toEqual({
        status: 0,
        stdout: `${total}/${total} flows, ${cases.length} cases\n`,
        stderr: "",
      });
    },
    (seconds + 30) * 1000,
  );
});
