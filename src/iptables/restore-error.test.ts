/**
 * @module
 */
import { describe, expect, test } from "vitest";
import { isRestoreError, RestoreError, type RestoreErrorCode, restoreErrorOf } from "./restore-error.ts";

const hint = "Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n";

/** What iptables-restore 1.8.9 prints, with its exit code, and how that is to be read. */
const captured: readonly (readonly [
  what: string,
  stderr: string,
  exitCode: number,
  code: RestoreErrorCode,
  line: number | undefined,
  message: string,
])[] = [
  [
    "nft: a rule for a chain that does not exist",
    "iptables-restore: line 2 failed: No chain/target/match by that name.\n",
    1,
    "rejected",
    2,
    "iptables-restore: line 2 failed: No chain/target/match by that name.",
  ],
  [
    "nft: a jump to a chain that does not exist, which is told of the COMMIT",
    `iptables-restore v1.8.9 (nf_tables): Chain 'NOPE' does not exist\nError occurred at line: 4\n${hint}`,
    2,
    "rejected",
    4,
    "iptables-restore v1.8.9 (nf_tables): Chain 'NOPE' does not exist",
  ],
  [
    "nft: an unknown option",
    `iptables-restore v1.8.9 (nf_tables): unknown option "--frob"\nError occurred at line: 3\n${hint}`,
    2,
    "rejected",
    3,
    'iptables-restore v1.8.9 (nf_tables): unknown option "--frob"',
  ],
  [
    "nft: a bad address",
    `iptables-restore v1.8.9 (nf_tables): host/network \`1.2.3.999' not found\nError occurred at line: 3\n${hint}`,
    2,
    "rejected",
    3,
    "iptables-restore v1.8.9 (nf_tables): host/network `1.2.3.999' not found",
  ],
  [
    "nft: an unknown set",
    `iptables-restore v1.8.9 (nf_tables): Set NOPE doesn't exist.\n\nError occurred at line: 3\n${hint}`,
    2,
    "rejected",
    3,
    "iptables-restore v1.8.9 (nf_tables): Set NOPE doesn't exist.",
  ],
  [
    "nft: a chain deleted that is still referred to",
    "iptables-restore v1.8.9 (nf_tables): \nline 5: CHAIN_DEL failed (Device or resource busy): chain B\n",
    4,
    "rejected",
    5,
    "iptables-restore v1.8.9 (nf_tables):; line 5: CHAIN_DEL failed (Device or resource busy): chain B",
  ],
  [
    "nft: a loop",
    "iptables-restore v1.8.9 (nf_tables): \nline 4: RULE_APPEND failed (Too many links): rule in chain PREROUTING\n",
    4,
    "rejected",
    4,
    "iptables-restore v1.8.9 (nf_tables):; line 4: RULE_APPEND failed (Too many links): rule in chain PREROUTING",
  ],
  [
    "nft: no memory left, which is told of whatever line was being written",
    "iptables-restore v1.8.9 (nf_tables): \nline 4: RULE_APPEND failed (Cannot allocate memory): rule in chain B\n",
    4,
    "busy",
    4,
    "iptables-restore v1.8.9 (nf_tables):; line 4: RULE_APPEND failed (Cannot allocate memory): rule in chain B",
  ],
  [
    "nft: no room for what the kernel answers",
    "iptables-restore v1.8.9 (nf_tables): \nline 9: CHAIN_USER_ADD failed (No buffer space available): chain B\n",
    4,
    "busy",
    9,
    "iptables-restore v1.8.9 (nf_tables):; line 9: CHAIN_USER_ADD failed (No buffer space available): chain B",
  ],
  [
    "both: no COMMIT",
    "iptables-restore: COMMIT expected at line 3\n",
    1,
    "rejected",
    3,
    "iptables-restore: COMMIT expected at line 3",
  ],
  [
    "legacy: a rule for a chain that does not exist, a referenced chain deleted, a loop",
    "iptables-restore: line 5 failed\n",
    1,
    "rejected",
    5,
    "iptables-restore: line 5 failed",
  ],
  [
    "legacy: an unknown target",
    `iptables-restore v1.8.9 (legacy): Couldn't load target \`NOPE':No such file or directory\n\nError occurred at line: 3\n${hint}`,
    2,
    "rejected",
    3,
    "iptables-restore v1.8.9 (legacy): Couldn't load target `NOPE':No such file or directory",
  ],
  [
    "legacy: a table that the kernel lacks",
    `iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nope'\nError occurred at line: 1\n${hint}`,
    2,
    "rejected",
    1,
    "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'nope'",
  ],
  [
    "legacy: the lock was held too long",
    "Can't lock /run/xtables.lock: Resource temporarily unavailable\nAnother app is currently holding the xtables lock. Stopped waiting after 1s.\n",
    4,
    "busy",
    undefined,
    "Can't lock /run/xtables.lock: Resource temporarily unavailable; Another app is currently holding the xtables lock. Stopped waiting after 1s.",
  ],
];

describe("restoreErrorOf()", () => {
  test.each(captured)("reads %s", (_, stderr, exitCode, code, line, message) => {
    const error = restoreErrorOf(stderr, exitCode, 0);
    expect(error).toBeInstanceOf(RestoreError);
    expect({ code: error.code, line: error.line, message: error.message }).toEqual({ code, line, message });
  });

  test("counts lines within the input that failed", () => {
    expect(restoreErrorOf("iptables-restore: line 105 failed\n", 1, 100).line).toBe(5);
  });

  test("does not take a line of an earlier input for one of this", () => {
    const error = restoreErrorOf("iptables-restore: line 100 failed\n", 1, 100);
    expect(error).toMatchObject({ code: "rejected", line: undefined });
  });

  test.each([
    [1, "iptables-restore ended with 1"],
    [null, "iptables-restore ended with a signal"],
  ] as const)("has words for a tool that ended with %s and said nothing", (exitCode, message) => {
    expect(restoreErrorOf("", exitCode, 0)).toMatchObject({ code: "died", line: undefined, message });
  });

  test("keeps the hint when the tool said nothing else", () => {
    expect(restoreErrorOf("Error occurred at line: 7\n", 2, 0)).toMatchObject({
      code: "rejected",
      line: 7,
      message: "Error occurred at line: 7",
    });
  });

  test("keeps a message short", () => {
    expect(restoreErrorOf("x".repeat(10_000), 1, 0).message.length).toBeLessThanOrEqual(600);
  });
});

describe("isRestoreError()", () => {
  test("tells by class, and by code if one is given", () => {
    const error = new RestoreError("busy", "locked");
    expect(isRestoreError(error)).toBe(true);
    expect(isRestoreError(error, "busy")).toBe(true);
    expect(isRestoreError(error, "rejected")).toBe(false);
    expect(isRestoreError(new Error("locked"))).toBe(false);
    expect(isRestoreError(undefined)).toBe(false);
  });
});
