/**
 * Turns every way to fail into one line and an exit status.
 *
 * Commands that somebody waits for at a prompt are loaded by themselves: all others come with command lines,
 * configuration and logging, which take longer to load than some tables to print.
 *
 * @module
 */
import { ConfigError } from "../config/config-error.ts";
import { CommandError } from "./exit.ts";

/** Runs a command line without the program's name. @returns the exit status */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (error instanceof CommandError || error instanceof ConfigError) {
      process.stderr.write(`kube-sluice: ${error.message}\n`);
      return error.exitStatus;
    }
    throw error;
  }
}

async function dispatch(args: readonly string[]): Promise<number> {
  const [first = ""] = args;
  // Its options are ipvsadm's, which has a way of its own to spell them.
  if (first === "ipvsadm") {
    const { ipvsadm } = await import("./ipvsadm.ts");
    return await ipvsadm(args.slice(1));
  }
  if (first === "top") {
    const { top } = await import("./top.ts");
    return await top(args.slice(1));
  }
  const { runCommand } = await import("./commands.ts");
  return await runCommand(args);
}
