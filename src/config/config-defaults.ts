/**
 * Default values of kube-proxy (Kubernetes 1.36) that more than one place needs, and the two addresses whose
 * defaults depend on another field.
 *
 * @module
 */
import { familyOf, parseAddress } from "../proxier/address.ts";
import { appendPort } from "./host-port.ts";
import type { ConfigFields } from "./proxy-config.ts";

/** Port of the health server. */
export const defaultHealthzPort = 10256;

/** Port of the metrics server. */
export const defaultMetricsPort = 10249;

/** Default of `bindAddress`. */
export const defaultBindAddress = "0.0.0.0";

/** Default of every `syncPeriod`. */
export const defaultSyncPeriodMs = 30_000;

/** Default of `iptables.minSyncPeriod` and `nftables.minSyncPeriod`. A file's `ipvs.minSyncPeriod` has none. */
export const defaultMinSyncPeriodMs = 1_000;

/** How long a real server may drain in ipvs mode: 15 minutes, as long as IPVS keeps an idle connection. */
export const defaultDrainTimeoutMs = 900_000;

/** Default bit of the packet mark that asks for masquerade. */
export const defaultMasqueradeBit = 14;

/** Default of `logging.flushFrequency`. */
export const defaultFlushFrequencyMs = 5_000;

/** Default of `clientConnection.contentType`, which has no effect here. */
export const defaultContentType = "application/vnd.kubernetes.protobuf";

/**
 * Fills in the server addresses. They are IPv4 only if `bindAddress` is an IPv4 address, so a `bindAddress` that
 * does not parse gives IPv6 defaults, as with kube-proxy. A bare address gets the server's port.
 */
export function withServerAddresses(fields: ConfigFields): ConfigFields {
  const bind = parseAddress(fields.bindAddress);
  const ipv4 = bind !== undefined && familyOf(bind) === "IPv4";
  const healthz = fields.healthzBindAddress || (ipv4 ? "0.0.0.0" : "::");
  const metrics = fields.metricsBindAddress || (ipv4 ? "127.0.0.1" : "::1");
  return {
    ...fields,
    healthzBindAddress: appendPort(healthz, defaultHealthzPort),
    metricsBindAddress: appendPort(metrics, defaultMetricsPort),
  };
}

/** The platform's defaults, applied after file and flags: what an empty `mode` and its companions mean on Linux. */
export function withPlatformDefaults(fields: ConfigFields): ConfigFields {
  const mode = fields.mode || "iptables";
  const primaryOnly = mode === "nftables" && fields.nodePortAddresses.length === 0;
  return {
    ...fields,
    mode,
    detectLocalMode: fields.detectLocalMode || "ClusterCIDR",
    nodePortAddresses: primaryOnly ? ["primary"] : fields.nodePortAddresses,
  };
}
