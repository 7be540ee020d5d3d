/**
 * Chooses the command among those that read kube-proxy's configuration and flags, and a few that need neither.
 *
 * @module
 */
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, CommanderError } from "commander";
import { kubeProxyFlags } from "../config/kube-proxy-flags.ts";
import { type LoadedStartup, loadConfig, type Startup } from "../config/load-config.ts";
import { printFlagValues } from "../config/print-flags.ts";
import { readConfigFile } from "../config/read-config-file.ts";
import { Logging } from "../operations/logger.ts";
import { addDemoCommand } from "./demo-command.ts";
import { CommandError } from "./exit.ts";
import { type ExplainOptions, splitExplainOptions } from "./explain-options.ts";
import { helpText } from "./help.ts";
import { type DaemonSignals, type SignalSource, takeSignals } from "./signals.ts";
import { version } from "./version.ts";

/** The commands that read kube-proxy's configuration and flags. */
const configured = ["run", "render", "explain", "cleanup", "doctor"] as const;

type ConfiguredCommand = (typeof configured)[number];

const noSignals: SignalSource = { on: () => {} };

/** How long the log may take to be written at the end, in milliseconds: its reader may have stalled. */
const flushMs = 2_000;

/** Runs a command line without the program's name. @returns the exit status */
export async function runCommand(args: readonly string[]): Promise<number> {
  const [first = ""] = args;
  let status: Promise<number> = Promise.resolve(0);
  const program = new Command("kube-sluice")
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpOption(false)
    .helpCommand(false);
  for (const name of configured) {
    // kube-proxy's flags are Go's: `-v=2`, `--flag=value`, booleans without value. They have a parser of their own.
    program
      .command(name)
      .helpOption(false)
      .allowUnknownOption()
      .argument("[flags...]")
      .action((_flags: string[], _options: unknown, command: Command) => {
        status = runConfigured(name, command.args);
      });
  }
  program.command("help").action(() => print(helpText()));
  program.command("version").action(() => print(`kube-sluice ${version}\n`));
  addDemoCommand(program, (result) => {
    status = result;
  });
  try {
    await program.parseAsync(first === "" || first.startsWith("-") ? ["run", ...args] : [...args], {
      from: "user",
    });
  } catch (error) {
    if (error instanceof CommanderError) {
      return commanderStatus(error);
    }
    throw error;
  }
  return await status;
}

function print(text: string): void {
  process.stdout.write(text);
}

function commanderStatus(error: CommanderError): number {
  if (error.exitCode === 0) {
    return 0;
  }
  throw new CommandError(2, `${error.message.replace(/^error: /, "")}; see kube-sluice help`);
}

async function runConfigured(command: ConfiguredCommand, args: readonly string[]): Promise<number> {
  // First: without a handler the first process of a container hears no signal. Other commands end as any program does.
  const signals = takeSignals(command === "run" ? process : noSignals, (status) => process.exit(status));
  const { options, rest } = splitOptions(command, args);
  const startup = await loadConfig({
    argv: rest,
    readFile: readConfigFile,
    hostName: hostname(),
    nodeNameVariable: process.env["NODE_NAME"],
  });
  switch (startup.action) {
    case "help":
      print(helpText());
      return 0;
    case "version":
      print(`kube-sluice ${version}\n`);
      return 0;
    case "write-config":
      return await withLogging(startup, () => writeConfig(startup.path, startup.content));
    case "cleanup":
      return await withLogging(startup, (logging) => cleanUp(startup, logging));
    case "run":
      return await withLogging(startup, (logging) =>
        perform(command, startup, { options, signals }, logging),
      );
  }
}

/** Of the commands that read kube-proxy's flags one has options besides. */
function splitOptions(
  command: ConfiguredCommand,
  args: readonly string[],
): { readonly options: ExplainOptions | undefined; readonly rest: readonly string[] } {
  return command === "explain" ? splitExplainOptions(args) : { options: undefined, rest: args };
}

async function perform(
  command: ConfiguredCommand,
  startup: Extract<Startup, { action: "run" }>,
  { options, signals }: { readonly options: ExplainOptions | undefined; readonly signals: DaemonSignals },
  logging: Logging,
): Promise<number> {
  switch (command) {
    case "explain": {
      const { explainConnection } = await import("./explain.ts");
      const log = logging.component("explain");
      print(options === undefined ? "" : await explainConnection(startup, options, log));
      return 0;
    }
    case "run": {
      const { run } = await import("./run.ts");
      return await run(startup, logging, signals);
    }
    case "render": {
      const { render } = await import("./render.ts");
      process.stdout.write(await render(startup, logging.component("render")));
      return 0;
    }
    case "cleanup":
      return await cleanUp(startup, logging);
    case "doctor": {
      const { doctor } = await import("./doctor.ts");
      const { columns = 80, isTTY = false } = process.stdout;
      const { text, status } = await doctor(startup, { width: Math.min(columns, 80), colour: isTTY });
      process.stdout.write(text);
      return status;
    }
  }
}

async function cleanUp(startup: LoadedStartup, logging: Logging): Promise<number> {
  const { cleanup } = await import("./cleanup.ts");
  await cleanup(startup, logging.component("cleanup"), print);
  return 0;
}

async function writeConfig(path: string, content: string): Promise<number> {
  const { writeFile } = await import("node:fs/promises");
  try {
    await writeFile(path, content);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(1, `cannot write --write-config-to ${JSON.stringify(path)}: ${reason}`);
  }
  return 0;
}

async function withLogging(
  startup: LoadedStartup,
  action: (logging: Logging) => Promise<number>,
): Promise<number> {
  const { format, verbosity, vmodule } = startup.config.logging;
  const logging = new Logging({
    format: format === "json" ? "json" : "text",
    verbosity: { verbosity, vmodule },
  });
  const log = logging.component("config");
  for (const { kind, message } of startup.warnings) {
    log.warning(message, { kind });
  }
  const gates = [...startup.config.featureGates.keys()];
  if (gates.length > 0) {
    log.info("Feature gates have no effect in this program", { gates }, 1);
  }
  for (const line of printFlagValues(kubeProxyFlags, startup.flags.values)) {
    log.info(line, {}, 1);
  }
  try {
    return await action(logging);
  } finally {
    await Promise.race([logging.flush(), sleep(flushMs, undefined, { ref: false })]);
  }
}
