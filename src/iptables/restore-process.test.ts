/**
 * @module
 */
import { afterEach, describe, expect, test } from "vitest";
import { RestoreError } from "./restore-error.ts";
import { RestoreProcess } from "./restore-process.ts";

/**
 * A stand-in for the tool. It counts lines from its start and echoes comments through a buffer of 4096 bytes, as stdio
 * does on a pipe. Some lines make it do what a real one does in trouble.
 */
const tool = `
  let line = 0, rest = "", buffer = "";
  const say = (text, code) => { process.stderr.write(text, () => process.exit(code)); };
  const takeLine = (text) => {
    line += 1;
    if (text.startsWith("#")) {
      buffer += text + "\\n";
      const full = buffer.length - (buffer.length % 4096);
      process.stdout.write(buffer.slice(0, full));
      buffer = buffer.slice(full);
    } else if (text === "REFUSE") {
      say("tool: line " + line + " failed: refused\\n", 1);
      return false;
    } else if (text === "LOCKED") {
      say("Another app is currently holding the xtables lock; still 0s 0us time ahead\\n", 4);
      return false;
    } else if (text === "WARN") {
      process.stderr.write("Warning: line 1 looks odd\\n");
    } else if (text === "HANG") {
      process.stderr.write("Another app is currently holding the xtables lock; waiting\\n");
      return false;
    } else if (text === "CRASH") {
      process.kill(process.pid, "SIGKILL");
      return false;
    }
    return true;
  };
  process.stdin.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split("\\n");
    rest = lines.pop();
    if (!lines.every(takeLine)) process.stdin.removeAllListeners("data").pause();
  }).on("end", () => process.exit(0));
`;

/** A block that is accepted. */
const block = "*nat\n:A - [0:0]\nCOMMIT\n";

/** As much as the pipe to the tool cannot hold. */
const large = "-A A -j ACCEPT\n".repeat(20_000);

let restore: RestoreProcess | undefined;

function start(): RestoreProcess {
  restore = new RestoreProcess({ file: process.execPath, args: ["-e", tool] });
  return restore;
}

afterEach(async () => {
  await restore?.close();
});

/** Lets everything happen that does not wait for the outside, and some of what does. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

async function failureOf(write: Promise<void>): Promise<RestoreError> {
  const error = await write.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(RestoreError);
  return error as RestoreError;
}

describe("RestoreProcess.write()", () => {
  test("feeds one process, block by block", async () => {
    const fed = start();
    expect(fed.pid).toBeUndefined();
    await fed.write([block]);
    const { pid } = fed;
    expect(pid).toBeGreaterThan(0);
    await fed.write([block, block]);
    await fed.write([]);
    expect(fed.pid).toBe(pid);
  });

  test("names the refused line, counted from the start of its input", async () => {
    const fed = start();
    await fed.write([block, block]);
    const error = await failureOf(fed.write([block, "*nat\n", "REFUSE\nCOMMIT\n"]));
    expect(error).toMatchObject({ code: "rejected", line: 5, message: expect.stringContaining("refused") });
  });

  test("goes on with another process after a refusal, and counts anew", async () => {
    const fed = start();
    await failureOf(fed.write(["REFUSE\n"]));
    await fed.write([block]);
    expect(await failureOf(fed.write(["REFUSE\n"]))).toMatchObject({ line: 1 });
  });

  test("names the refused line also when most of the input has not been read yet", async () => {
    const fed = start();
    await fed.write([block]);
    const error = await failureOf(fed.write(["*nat\nREFUSE\n", large, large, "COMMIT\n"]));
    expect(error).toMatchObject({ code: "rejected", line: 2 });
  });

  test("is not led astray by what an earlier input had the tool warn of", async () => {
    const fed = start();
    await fed.write(["WARN\n"]);
    expect(await failureOf(fed.write(["*nat\n", "CRASH\n"]))).toMatchObject({ code: "died" });
  });

  test("tells a lock that is held from a refusal", async () => {
    expect(await failureOf(start().write(["*nat\nLOCKED\n"]))).toMatchObject({ code: "busy" });
  });

  test("tells the end of the tool from a refusal", async () => {
    const fed = start();
    await fed.write([block]);
    const error = await failureOf(fed.write(["*nat\nCRASH\nCOMMIT\n"]));
    expect(error).toMatchObject({ code: "died", line: undefined });
    await fed.write([block]);
  });

  test("tells the end of the tool in the middle of a large input", async () => {
    expect(await failureOf(start().write(["CRASH\n", large, large]))).toMatchObject({ code: "died" });
  });

  test("starts another tool when the last one has ended meanwhile", async () => {
    const restarted = start();
    await restarted.write([block]);
    const pid = restarted.pid ?? 0;
    process.kill(pid, "SIGKILL");
    await expect.poll(() => restarted.pid).toBeUndefined();
    await restarted.write([block]);
    expect(restarted.pid).not.toBe(pid);
  });

  test.each([[[block]], [[large, large, large]]])(
    "says so when the tool cannot be started (input %#)",
    async (input) => {
      const missing = new RestoreProcess({ file: "/nonexistent/xtables-nft-multi", args: [] });
      const error = await failureOf(missing.write(input));
      expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining("ENOENT") });
      await missing.close();
    },
  );

  test("makes no more input than the tool reads", async () => {
    const stalled = start();
    await stalled.write([block]);
    const pid = stalled.pid ?? 0;
    let made = 0;
    const pieces = function* (): Iterable<string> {
      for (; made < 100; made++) {
        yield large;
      }
    };
    process.kill(pid, "SIGSTOP");
    const write = stalled.write(pieces());
    await turns(200);
    expect(made).toBeLessThan(5);
    process.kill(pid, "SIGCONT");
    await write;
    expect(made).toBe(100);
  });

  test("passes on what the making of the input throws, and leaves the open table out", async () => {
    const broken = start();
    await broken.write([block]);
    const { pid } = broken;
    const pieces = function* (): Iterable<string> {
      yield "*nat\n";
      throw new RangeError("no such rule");
    };
    await expect(broken.write(pieces())).rejects.toThrow(new RangeError("no such rule"));
    expect(broken.pid).toBeUndefined();
    await broken.write([block]);
    expect(broken.pid).not.toBe(pid);
  });
});

describe("RestoreProcess.close()", () => {
  test("ends an idle tool, and does nothing when none runs", async () => {
    const closed = start();
    await closed.close();
    await closed.write([block]);
    const pid = closed.pid ?? 0;
    await closed.close();
    expect(closed.pid).toBeUndefined();
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    await closed.close();
  });

  test("lets a write that is under way fail instead of hang", async () => {
    const closed = start();
    await closed.write([block]);
    const failure = failureOf(closed.write([large, large, large, large]));
    await closed.close();
    expect((await failure).code).toBe("died");
  });
});

test("a tool that does not end in time is killed, and the next write has another one", async () => {
  restore = new RestoreProcess({ file: process.execPath, args: ["-e", tool], deadlineMs: 3_000 });
  const failure = await failureOf(restore.write(["HANG\n", block]));
  expect(failure.code).toBe("died");
  expect(failure.message).toContain("no end after 3 s: Another app is currently holding the xtables lock");
  await restore.write([block]);
});

test("a tool that was started ahead takes the next write", async () => {
  const ahead = start();
  ahead.start();
  const { pid } = ahead;
  expect(pid).toBeDefined();
  await ahead.write([block]);
  expect(ahead.pid).toBe(pid);
});

test("a tool that cannot be started is told by the write, not before", async () => {
  const missing = new RestoreProcess({ file: "/nonexistent/iptables-restore", args: [] });
  missing.start();
  expect(await failureOf(missing.write([block]))).toMatchObject({ code: "unavailable" });
});
