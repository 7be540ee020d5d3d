/**
 * The configuration that a command line without `--config` describes.
 *
 * Most flags equal one field. The rest follows kube-proxy where it is odd: its default object is built before
 * `--proxy-mode` is read, so that ipvs mode gets the minimum period of iptables mode (1s, where a file has 0s); the
 * periods of a mode that is not in use are dropped without a word; and the server ports only complete addresses that
 * have none.
 *
 * Pure.
 *
 * @module
 */
import { type ConfigFlags, configFlags } from "./config-flags.ts";
import { defaultFields } from "./config-schema.ts";
import { appendPort } from "./host-port.ts";
import type { KubeProxyFlags } from "./kube-proxy-flags.ts";
import { overlayLogging } from "./logging-flags.ts";
import type { ParsedFlags } from "./parse-flags.ts";
import type { ConfigFields, IptablesSection, IpvsSection, NftablesSection } from "./proxy-config.ts";

/** Builds the fields. Platform defaults and `--hostname-override` come later. */
export function fieldsFromFlags({ values, given }: ParsedFlags<KubeProxyFlags>): ConfigFields {
  return {
    ...defaultFields,
    featureGates: values["feature-gates"],
    bindAddress: values["bind-address"],
    ...serverAddresses(values),
    bindAddressHardFail: values["bind-address-hard-fail"],
    enableProfiling: values.profiling,
    showHiddenMetricsForVersion: values["show-hidden-metrics-for-version"],
    mode: values["proxy-mode"],
    ...modeSections(values),
    detectLocalMode: values["detect-local-mode"],
    detectLocal: {
      bridgeInterface: values["pod-bridge-interface"],
      interfaceNamePrefix: values["pod-interface-name-prefix"],
    },
    // Given but empty it is one empty CIDR, which validation refuses.
    clusterCIDR: given.has("cluster-cidr") ? values["cluster-cidr"].split(",") : [],
    nodePortAddresses: values["nodeport-addresses"],
    conntrack: {
      maxPerCore: values["conntrack-max-per-core"],
      min: values["conntrack-min"],
      tcpEstablishedTimeoutMs: values["conntrack-tcp-timeout-established"],
      tcpCloseWaitTimeoutMs: values["conntrack-tcp-timeout-close-wait"],
      tcpBeLiberal: values["conntrack-tcp-be-liberal"],
      udpTimeoutMs: values["conntrack-udp-timeout"],
      udpStreamTimeoutMs: values["conntrack-udp-timeout-stream"],
    },
    oomScoreAdj: values["oom-score-adj"],
    configSyncPeriodMs: values["config-sync-period"],
    clientConnection: {
      ...defaultFields.clientConnection,
      kubeconfig: values.kubeconfig,
      contentType: values["kube-api-content-type"],
      qps: values["kube-api-qps"],
      burst: values["kube-api-burst"],
    },
    logging: overlayLogging(defaultFields.logging, values, given),
  };
}

/** The server addresses. The port flags are left alone when the configuration is only written to a file. */
function serverAddresses(
  values: KubeProxyFlags,
): Pick<ConfigFields, "healthzBindAddress" | "metricsBindAddress"> {
  const healthz = values["healthz-bind-address"];
  const metrics = values["metrics-bind-address"];
  if (values["write-config-to"] !== "") {
    return { healthzBindAddress: healthz, metricsBindAddress: metrics };
  }
  return {
    healthzBindAddress: addressWithPort(healthz, values["healthz-port"]),
    metricsBindAddress: addressWithPort(metrics, values["metrics-port"]),
  };
}

/** Port 0 means no server. */
function addressWithPort(address: string, port: number): string {
  return port === 0 ? "" : appendPort(address, port);
}

function modeSections(values: ConfigFlags): {
  readonly iptables: IptablesSection;
  readonly ipvs: IpvsSection;
  readonly nftables: NftablesSection;
} {
  const mode = values["proxy-mode"];
  const defaultPeriods = {
    syncPeriodMs: configFlags["iptables-sync-period"].initial,
    minSyncPeriodMs: configFlags["iptables-min-sync-period"].initial,
  };
  // kube-proxy has one pair of periods. The iptables flags set it in every mode but ipvs, nftables included.
  const iptablesPeriods = {
    syncPeriodMs: values["iptables-sync-period"],
    minSyncPeriodMs: values["iptables-min-sync-period"],
  };
  const ipvsPeriods = {
    syncPeriodMs: values["ipvs-sync-period"],
    minSyncPeriodMs: values["ipvs-min-sync-period"],
  };
  return {
    iptables: {
      masqueradeBit: values["iptables-masquerade-bit"],
      masqueradeAll: mode !== "nftables" && values["masquerade-all"],
      localhostNodePorts: values["iptables-localhost-nodeports"],
      ...(mode === "ipvs" || mode === "nftables" ? defaultPeriods : iptablesPeriods),
    },
    ipvs: {
      ...(mode === "ipvs" ? ipvsPeriods : defaultPeriods),
      scheduler: values["ipvs-scheduler"],
      excludeCIDRs: values["ipvs-exclude-cidrs"],
      strictARP: values["ipvs-strict-arp"],
      tcpTimeoutMs: values["ipvs-tcp-timeout"],
      tcpFinTimeoutMs: values["ipvs-tcpfin-timeout"],
      udpTimeoutMs: values["ipvs-udp-timeout"],
    },
    nftables: {
      masqueradeBit: defaultFields.nftables.masqueradeBit,
      masqueradeAll: mode === "nftables" && values["masquerade-all"],
      ...(mode === "nftables" ? iptablesPeriods : defaultPeriods),
    },
  };
}
