/**
 * How much is logged: kube-proxy's `-v` number and its `--vmodule` exceptions.
 *
 * Levels are those of Kubernetes components: 0 what an operator always wants, 1 settings that were changed, 2 one line
 * a sync, 3 watches, 4 every event, 5 and up what is sent to the kernel. Errors and warnings are always logged.
 * A "module" is a component of this program (`kube`, `iptables`, …), the name in each line's head.
 *
 * Pure.
 *
 * @module
 */

/** The highest level that anything is logged at. */
export const maxVerbosity = 9;

/** An exception for components whose name matches; one entry of `logging.vmodule`. */
export interface ModuleVerbosity {
  /** `*` stands for any text, `?` for one character. */
  readonly filePattern: string;
  readonly verbosity: number;
}

/** What is logged; the section `logging` of a KubeProxyConfiguration has it. */
export interface LogVerbosity {
  readonly verbosity: number;
  /** The first match wins. */
  readonly vmodule: readonly ModuleVerbosity[];
}

/** The level up to which a component logs, 0 to {@link maxVerbosity}. */
export function verbosityOf(component: string, { verbosity, vmodule }: LogVerbosity): number {
  const exception = vmodule.find(({ filePattern }) => matches(filePattern, component));
  return Math.min(maxVerbosity, Math.max(0, Math.trunc(exception?.verbosity ?? verbosity)));
}

function matches(pattern: string, component: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`).test(component);
}
