/**
 * The order of resource versions, as far as it may be known.
 *
 * Versions are opaque to clients: they are handed back as they came. For one purpose an order is needed, to notice a
 * server that was restored from a backup and counts from an earlier version on. Since Kubernetes 1.35 versions of one
 * resource are documented to be comparable as decimal numbers; any other version has no order here.
 *
 * Pure.
 *
 * @module
 */

/** Whether `version` is certainly older than `other`. */
export function isOlderVersion(version: string, other: string): boolean {
  if (!isNumber(version) || !isNumber(other)) {
    return false;
  }
  return version.length === other.length ? version < other : version.length < other.length;
}

/** A decimal number of any size, without leading zeros: longer means greater. */
function isNumber(version: string): boolean {
  return /^[1-9][0-9]*$/.test(version);
}
