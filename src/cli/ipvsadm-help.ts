/**
 * The text of `kube-sluice ipvsadm --help`.
 *
 * @module
 */

/** Options, and how they differ from ipvsadm's. */
export const ipvsadmHelp: string = `kube-sluice ipvsadm: lists the virtual servers in the kernel as ipvsadm does, in every mode

Usage:
  kube-sluice ipvsadm [-L|-l] [-n] [-t|-u|--sctp-service ADDRESS:PORT | -f MARK [-6]] [options]
  kube-sluice ipvsadm -L -c [--persistent-conn]       connections
  kube-sluice ipvsadm -L --timeout | --daemon
  kube-sluice ipvsadm -S                              lines for ipvsadm -R

As in ipvsadm:
  --stats --rate --thresholds --persistent-conn --tun-info   what is shown of each server
  --exact                numbers in full
  --nosort               the kernel's order; else by protocol, address and port, where an address counts as a signed
                         number: 192.0.2.1 stands before 10.0.0.1
  -n                     accepted: addresses and ports are always numeric

Of its own:
  --mode MODE            auto (what the kernel holds: IPVS, then iptables), ipvs, iptables
  --names                names of Services and pods behind the lines
  --service NS/NAME[:PORT]  --namespace NS  --address IP     only these
  --output FORMAT        text, json, yaml
  --manifests DIR  --kubeconfig FILE     where names come from, besides comments of rules; in a pod, its cluster

In iptables mode the scheduler is "random", since that is what rules do, and a node port stands at 0.0.0.0 or [::].
ActiveConn are connections that conntrack has as ESTABLISHED. Connections are counted by rules, packets and bytes by
conntrack where net.netfilter.nf_conntrack_acct is 1; "-" means that nobody knows.
`;
