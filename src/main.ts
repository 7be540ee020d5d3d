/**
 * The command: arguments to one of the commands in cli/.
 *
 * kube-proxy's own command line is accepted: without a subcommand it behaves as `run`.
 *
 * @module
 */
import { main } from "./cli/main.ts";

/** How long what is still open may keep the process from ending, in milliseconds. */
const lingerMs = 2_000;

void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
  setTimeout(() => process.exit(), lingerMs).unref();
});
