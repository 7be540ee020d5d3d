/**
 * What the process settles about itself before it does anything: the rights that it needs, and how willing the kernel is to
 * end it for memory.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { ProxyConfig } from "../config/proxy-config.ts";
import { describeMissing, missingCapabilities } from "../operations/capabilities.ts";
import { errorText, type Logger } from "../operations/logger.ts";
import { CommandError } from "./exit.ts";

const statusFile = "/proc/self/status";
const oomScoreFile = "/proc/self/oom_score_adj";

/**
 * Checks the capabilities and sets the OOM score of the process, which its children inherit.
 *
 * @throws CommandError that names the capabilities that are missing
 */
export function prepareProcess(config: ProxyConfig, log: Logger): void {
  requireCapabilities();
  setOomScore(config.oomScoreAdj, log);
}

/** @throws CommandError that names the capabilities that are missing */
export function requireCapabilities(): void {
  const missing = missingCapabilities(readOr(statusFile, ""));
  if (missing.length > 0) {
    throw new CommandError(1, describeMissing(missing));
  }
}

/** Lowering the score takes SYS_RESOURCE. Without it the score stays, as with kube-proxy. */
export function setOomScore(wanted: number, log: Logger): void {
  if (Number.parseInt(readOr(oomScoreFile, ""), 10) === wanted) {
    return;
  }
  try {
    writeFileSync(oomScoreFile, String(wanted));
  } catch (error) {
    log.info(
      "Cannot set the OOM score of this process",
      { oomScoreAdj: wanted, reason: errorText(error) },
      2,
    );
  }
}

/** Without /proc nothing can be told; what is missing shows later. */
function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return otherwise;
  }
}
