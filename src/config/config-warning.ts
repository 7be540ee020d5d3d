/**
 * What is odd about a configuration without making it unusable.
 *
 * @module
 */

/** Why something is only a warning; callers pick the event and the metric by it. */
export type ConfigWarningKind =
  /** Unknown fields or duplicate keys in the file. */
  | "strictness"
  /** A flag that has no effect beside `--config`, or with the value it was given. */
  | "ignored-flag"
  /** A flag that kube-proxy has deprecated. */
  | "deprecated-flag"
  /** A section that is not in use now and would be refused if it were. */
  | "inactive-section";

/** One warning: a single line. */
export interface ConfigWarning {
  readonly kind: ConfigWarningKind;
  readonly message: string;
}
