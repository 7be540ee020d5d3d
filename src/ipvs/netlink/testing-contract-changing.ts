/**
 * What holds of changing the table of IPVS, and of what the kernel refuses.
 *
 * @module
 */
import { expect } from "vitest";
import type { RealServer } from "./real-server.ts";
import {
  addRealServerRequest,
  addVirtualServerRequest,
  deleteRealServerRequest,
  deleteVirtualServerRequest,
  editRealServerRequest,
  editVirtualServerRequest,
} from "./requests.ts";
import { build, failure, type IpvsContractCase, unused, web, webReals } from "./testing-contract-case.ts";
import { sampleTable } from "./testing-samples.ts";
import { schedulerNames, type VirtualServer, type VirtualServerKey } from "./virtual-server.ts";

const [first, second] = webReals;

/** Adding, editing and deleting; timeouts and daemons. */
export const changing: readonly IpvsContractCase[] = [
  ...schedulerNames.map(
    (scheduler): IpvsContractCase => ({
      name: `scheduler ${scheduler} serves a new server and an old one, or is told to be absent`,
      run: (client, { absentSchedulers }) => {
        if (absentSchedulers.includes(scheduler)) {
          expect(failure(() => client.addVirtualServer({ ...web, scheduler }))[0]).toBe("unsupported");
          return;
        }
        client.addVirtualServer({ ...web, scheduler });
        client.addVirtualServer({ ...web, port: 81 });
        client.editVirtualServer({ ...web, port: 81, scheduler });
        expect(client.findVirtualServer(web)?.scheduler).toBe(scheduler);
        expect(client.findVirtualServer({ ...web, port: 81 })?.scheduler).toBe(scheduler);
      },
    }),
  ),

  {
    name: "a scheduler or persistence engine that the kernel lacks is unsupported, and nothing changes",
    run: (client) => {
      expect(failure(() => client.addVirtualServer({ ...web, scheduler: "absent" }))).toEqual([
        "unsupported",
        "Cannot add virtual server TCP 198.51.100.10:80 with scheduler absent: ENOENT",
      ]);
      expect(client.findVirtualServer(web)).toBeUndefined();
      client.addVirtualServer(web);
      expect(failure(() => client.editVirtualServer({ ...web, scheduler: "absent" }))).toEqual([
        "unsupported",
        "Cannot edit virtual server TCP 198.51.100.10:80 with scheduler absent: ENOENT",
      ]);
      const persistence = { timeoutSeconds: 60, engine: "absent" };
      expect(failure(() => client.editVirtualServer({ ...web, persistence }))).toEqual([
        "unsupported",
        "Cannot edit virtual server TCP 198.51.100.10:80 with scheduler lc and persistence engine absent: ENOENT",
      ]);
      expect(client.findVirtualServer(web, { statistics: false })).toEqual(web);
    },
  },

  {
    name: "a virtual server is edited in place: every setting, and back, with its real servers",
    run: async (client) => {
      client.addVirtualServer(web);
      client.addRealServer(web, first);
      const edited: VirtualServer = {
        ...web,
        scheduler: "mh",
        schedulerFlags: ["flag-1", "flag-2"],
        persistence: { timeoutSeconds: 10_800, netmask: "255.255.255.0", engine: "sip" },
        onePacket: true,
      };
      client.editVirtualServer(edited);
      expect(client.findVirtualServer(web, { statistics: false })).toEqual(edited);
      client.editVirtualServer(web);
      expect(client.findVirtualServer(web, { statistics: false })).toEqual(web);
      expect(await client.listRealServers(web, { statistics: false })).toEqual([unused(first)]);
    },
  },

  {
    name: "a real server is edited in place: every setting, and back",
    run: async (client) => {
      client.addVirtualServer(web);
      client.addRealServer(web, first);
      const edited: RealServer = {
        ...first,
        forwarding: "tunnel",
        weight: 0,
        upperThreshold: 100,
        lowerThreshold: 50,
        tunnel: { type: "gue", port: 6080, checksum: "remote" },
      };
      for (const server of [edited, first]) {
        client.editRealServer(web, server);
        expect(await client.listRealServers(web, { statistics: false })).toEqual([unused(server)]);
      }
    },
  },

  {
    name: "what is there is not added again, and what is not there is neither edited nor deleted",
    run: async (client) => {
      const { family } = client;
      const absent = { ...web, port: 81 };
      const codes = client
        .transact([
          addVirtualServerRequest(family, web),
          addVirtualServerRequest(family, { ...web, scheduler: "rr" }),
          addRealServerRequest(family, web, first),
          addRealServerRequest(family, web, { ...first, weight: 2 }),
          editVirtualServerRequest(family, absent),
          deleteVirtualServerRequest(family, absent),
          addRealServerRequest(family, absent, first),
          editRealServerRequest(family, absent, first),
          deleteRealServerRequest(family, absent, first),
          editRealServerRequest(family, web, second),
          deleteRealServerRequest(family, web, second),
        ])
        .map(({ error }) => error?.code ?? "done");
      const gone: readonly string[] = new Array(7).fill("not-found");
      expect(codes).toEqual(["done", "exists", "done", "exists", ...gone]);
      expect(failure(() => client.zero(absent))[0]).toBe("not-found");
      const listed = await client.listAll({ statistics: false });
      expect(listed).toEqual([{ server: web, realServers: [unused(first)] }]);
    },
  },

  {
    name: "tolerant requests succeed where it is already so, and only there",
    run: (client) => {
      const { family } = client;
      const tolerant = { tolerant: true };
      const absent = { ...web, port: 81 };
      const codes = client
        .transact([
          addVirtualServerRequest(family, web, tolerant),
          addVirtualServerRequest(family, web, tolerant),
          addRealServerRequest(family, web, first, tolerant),
          addRealServerRequest(family, web, first, tolerant),
          addRealServerRequest(family, absent, first, tolerant),
          deleteRealServerRequest(family, web, second, tolerant),
          deleteRealServerRequest(family, absent, first, tolerant),
          deleteVirtualServerRequest(family, absent, tolerant),
          addVirtualServerRequest(family, { ...absent, scheduler: "absent" }, tolerant),
        ])
        .map(({ error }) => error?.code ?? "done");
      expect(codes).toEqual([
        ...["done", "done", "done", "done", "not-found"],
        ...["done", "done", "done", "unsupported"],
      ]);
    },
  },

  {
    name: "deleting a virtual server deletes its real servers",
    run: async (client) => {
      await build(client, [{ server: web, realServers: webReals }]);
      client.deleteRealServer(web, second);
      expect(await client.listRealServers(web, { statistics: false })).toEqual([unused(first)]);
      client.deleteVirtualServer(web);
      client.addVirtualServer(web);
      expect(await client.listRealServers(web)).toEqual([]);
    },
  },

  {
    name: "real servers that cannot be are rejected",
    run: async (client) => {
      const ipv6: VirtualServerKey = { firewallMark: 6, family: "IPv6" };
      client.addVirtualServer(web);
      client.addVirtualServer({ ...ipv6, scheduler: "rr" });
      const impossible: readonly (readonly [VirtualServerKey, Partial<RealServer>])[] = [
        [web, { address: "224.0.0.1" }],
        [web, { address: "0.0.0.0" }],
        [web, { address: "2001:db8::1" }],
        [web, { upperThreshold: 1, lowerThreshold: 2 }],
        [web, { lowerThreshold: 1 }],
        [ipv6, { address: "ff02::1" }],
        [ipv6, { address: "::" }],
        [ipv6, { address: "192.0.2.1" }],
      ];
      const codes = impossible.map(
        ([key, change]) => failure(() => client.addRealServer(key, { ...first, ...change }))[0],
      );
      expect(codes).toEqual(impossible.map(() => "rejected"));
      expect(await client.listRealServers(web)).toEqual([]);
      expect(await client.listRealServers(ipv6)).toEqual([]);
    },
  },

  {
    name: "transactEach() builds a table of thousands, and names the one request that failed",
    run: async (client) => {
      const { family } = client;
      const requests = function* () {
        yield addVirtualServerRequest(family, web);
        for (let index = 0; index < 2000; index++) {
          const address = `10.244.${index >> 8}.${index & 255}`;
          yield addRealServerRequest(family, web, {
            ...first,
            address: index === 1500 ? "224.0.0.1" : address,
          });
        }
      };
      const failures: (readonly [number, string | undefined])[] = [];
      await client.transactEach(requests(), ({ error }, index) => {
        if (error !== undefined) failures.push([index, error.message]);
      });
      expect(failures).toEqual([
        [1501, "Cannot add real server 224.0.0.1:8080 of virtual server TCP 198.51.100.10:80: EINVAL"],
      ]);
      expect(await client.listRealServers(web, { statistics: false })).toHaveLength(1999);
    },
  },

  {
    name: "timeouts are set one by one or together, and those of 0 stay",
    run: (client) => {
      const before = client.getTimeouts();
      client.setTimeouts({ tcp: 901 });
      expect(client.getTimeouts()).toEqual({ ...before, tcp: 901 });
      client.setTimeouts({ tcp: 0, tcpFin: 121, udp: 301 });
      expect(client.getTimeouts()).toEqual({ tcp: 901, tcpFin: 121, udp: 301 });
      expect(failure(() => client.setTimeouts({ udp: 4_294_967_295 }))[0]).toBe("rejected");
      client.setTimeouts(before);
      expect(client.getTimeouts()).toEqual(before);
    },
  },

  {
    name: "sync daemons are started once, listed and stopped",
    run: async (client) => {
      client.startDaemon({ role: "backup", interface: "lo", syncId: 7, port: 9999, timeToLive: 3 });
      client.startDaemon({ role: "master", interface: "lo", syncId: 255, group: "224.0.0.99" });
      const again = { role: "master", interface: "lo", syncId: 1 } as const;
      expect(failure(() => client.startDaemon(again))[0]).toBe("exists");
      client.startDaemon(again, { tolerant: true });
      expect(failure(() => client.startDaemon({ ...again, interface: "absent0" }))[0]).toBe("not-found");
      const common = { interface: "lo", maximumLength: expect.any(Number) };
      expect(await client.listDaemons()).toEqual(
        expect.arrayContaining([
          { ...common, role: "master", syncId: 255, group: "224.0.0.99", port: 8848, timeToLive: 1 },
          { ...common, role: "backup", syncId: 7, group: "224.0.0.81", port: 9999, timeToLive: 3 },
        ]),
      );
      client.stopDaemon("master");
      client.stopDaemon("backup");
      expect(await client.listDaemons()).toEqual([]);
      expect(failure(() => client.stopDaemon("backup"))[0]).toBe("not-found");
      client.stopDaemon("backup", { tolerant: true });
    },
  },

  {
    name: "flush() empties the table",
    run: async (client) => {
      await build(client, sampleTable);
      client.flush();
      expect(await client.listAll()).toEqual([]);
    },
  },
];
