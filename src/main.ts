/**
 * The command: arguments to one of the commands in cli/.
 *
 * kube-proxy's own command line is accepted: without a subcommand it behaves as `run`.
 *
 * @module
 */
import { main } from "./cli/main.ts";

process.exitCode = await main(process.argv.slice(2));
