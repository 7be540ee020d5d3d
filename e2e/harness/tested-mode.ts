/**
 * Where tests run, and in which mode. Suites that hold for every mode run in iptables mode; e2e/ipvs/suites.test.ts runs
 * some of them again, in ipvs mode, in a guest.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import type { Variant } from "./iptables-variant.ts";

/** Whether this runs in a guest: what `e2e/uml/init.sh` finds its job by. Everything takes longer there. */
export const inGuest: boolean = readFileSync("/proc/cmdline", "utf8").includes("umljob=");

/** Name of the environment variable that says it. */
export const modeVariable = "SLUICE_TESTED_MODE";

/** The mode. */
export const testedMode: "iptables" | "ipvs" = process.env[modeVariable] === "ipvs" ? "ipvs" : "iptables";

/** Variants of iptables to test with: in ipvs mode the rules are few, and tested with both elsewhere. */
export const testedVariants: readonly Variant[] = testedMode === "ipvs" ? ["legacy"] : ["nft", "legacy"];

/** The variant of suites that need no more than one. */
export const testedVariant: Variant = testedMode === "ipvs" ? "legacy" : "nft";
