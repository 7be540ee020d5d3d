/**
 * The command: arguments to one of the commands in cli/.
 *
 * kube-proxy's own command line is accepted: without a subcommand it behaves as `run`.
 *
 * @module
 */
import { main } from "./cli/main.ts";

void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
