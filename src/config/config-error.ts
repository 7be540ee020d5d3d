/**
 * The one error of this folder that callers decide on: the configuration or the command line is not usable.
 *
 * @module
 */

/**
 * A command line, configuration file or value that ends the start before anything was touched.
 *
 * The message is a single line that names the option or the field path and keeps kube-proxy's own prefixes
 * (`failed complete: `, `failed validate: `), because people and tools search logs for them.
 */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
  /** Process exit status that goes with it. kube-proxy exits 1 here; 2 sets a refused start apart from a failure. */
  readonly exitStatus: 2 = 2;

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message.replaceAll(/\s*[\r\n]+\s*/g, " "), options);
  }
}
