/**
 * The program of README.md: a virtual server with two real servers, one of which is taken out of service without
 * breaking a connection.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  formatTable,
  openIpvs,
  type RealServer,
  realServerName,
  type VirtualServer,
} from "kube-sluice/ipvsadm-netlink";

const web: VirtualServer = { protocol: "TCP", address: "192.0.2.10", port: 80, scheduler: "wlc" };
const blue: RealServer = { address: "198.51.100.1", port: 8080, forwarding: "masquerade", weight: 1 };
const green: RealServer = { address: "198.51.100.2", port: 8080, forwarding: "masquerade", weight: 3 };

using ipvs = openIpvs();

// Whether they are there already or not; the settings of what is there are not looked at.
ipvs.addVirtualServer(web, { tolerant: true });
for (const server of [blue, green]) ipvs.addRealServer(web, server, { tolerant: true });
process.stdout.write(formatTable(await ipvs.listAll({ statistics: false })));

// Weight 0: connections that are there go on, new ones go elsewhere.
ipvs.editRealServer(web, { ...blue, weight: 0 });
while (!(await isIdle(blue))) await sleep(1000);
ipvs.deleteRealServer(web, blue);
process.stdout.write(`${realServerName(blue)} is out of service\n`);
process.stdout.write(formatTable(await ipvs.listAll({ statistics: false })));

async function isIdle(server: RealServer): Promise<boolean> {
  const all = await ipvs.listRealServers(web, { statistics: false });
  const found = all.find((one) => realServerName(one) === realServerName(server));
  return found === undefined || found.activeConnections + found.inactiveConnections === 0;
}
