/**
 * Shared material of this folder's tests.
 *
 * @module
 */
import { type LoadedStartup, loadConfig, type Startup } from "./load-config.ts";

/** The first two lines of every file. */
export const header = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n";

/** What kubeadm writes into the ConfigMap: the object without defaults, so nearly every field is zero. */
export const kubeadmFile = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
`;

/** Text as the bytes of a file. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Starts with these arguments; `file` is what `--config` reads, whatever its path. */
export function start(argv: readonly string[], file?: string): Promise<Startup> {
  return loadConfig({
    argv,
    readFile: (path) =>
      file === undefined
        ? Promise.reject(new Error(`ENOENT: no such file or directory, open '${path}'`))
        : Promise.resolve(bytesOf(file)),
    hostName: "Host-1",
    nodeNameVariable: undefined,
  });
}

/** Starts as {@link start} does and expects it to run. */
export async function run(
  argv: readonly string[],
  file?: string,
): Promise<LoadedStartup & { readonly nodeName: string }> {
  const startup = await start(argv, file);
  if (startup.action !== "run") {
    throw new TypeError(`expected to run, got ${startup.action}`);
  }
  return startup;
}

/** Runs with this file, behind the two lines that every file has. */
export function runFile(body: string): Promise<LoadedStartup & { readonly nodeName: string }> {
  return run(["--config=f"], header + body);
}
