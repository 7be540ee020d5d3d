/**
 * @module
 */
import { expect, test } from "vitest";
import { CommandError, runCommand } from "./command.ts";

test("runCommand() gives input and environment and keeps what is printed", async () => {
  const argv = ["sh", "-c", 'cat; echo "$COLOUR"; echo complaint >&2'];
  expect(await runCommand(argv, { input: "in\n", env: { COLOUR: "blue" } })).toEqual({
    status: 0,
    stdout: "in\nblue\n",
    stderr: "complaint\n",
  });
});

test("runCommand() throws what a failing command said, with its status", async () => {
  const failure = runCommand(["sh", "-c", "echo out; echo complaint >&2; exit 3"]);
  await expect(failure).rejects.toThrow(CommandError);
  await expect(failure).rejects.toMatchObject({
    message: expect.stringMatching(/^Cannot run sh -c .*: exit status 3\ncomplaint\nout$/s),
    result: { status: 3, stdout: "out\n", stderr: "complaint\n" },
  });
});

test("runCommand() gives back any status when asked to, that of a signal as a shell does", async () => {
  expect(await runCommand(["false"], { anyStatus: true })).toMatchObject({ status: 1 });
  expect(await runCommand(["sh", "-c", "kill -TERM $$"], { anyStatus: true })).toMatchObject({ status: 143 });
});

test("runCommand() kills a command that is out of time, and does not wait for who inherited its pipes", async () => {
  const script = "echo begun; sleep 5 & sleep 5";
  await expect(runCommand(["sh", "-c", script], { timeoutSeconds: 0.2 })).rejects.toThrow(
    /no end after 0.2 s\nbegun$/,
  );
});

test("runCommand() passes on that a program does not exist", async () => {
  await expect(runCommand(["/nonexistent/program"])).rejects.toMatchObject({ code: "ENOENT" });
});

test("runCommand() takes no harm from a program that does not read its input", async () => {
  expect(await runCommand(["true"], { input: "x".repeat(1_000_000) })).toMatchObject({ status: 0 });
});
