/**
 * The client over a fake kernel: what the contract suite, which the real kernel has to keep too, cannot show.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { NetlinkConnection, NetlinkRequest } from "../../netlink/connection.ts";
import { KernelError } from "../../netlink/kernel-error.ts";
import { type FakeRequest, fakeConnection, faultyKernel } from "../../netlink/testing.ts";
import { IpvsClient } from "./client.ts";
import { addVirtualServerRequest, deleteVirtualServerRequest } from "./requests.ts";
import { FakeIpvs } from "./testing.ts";
import type { VirtualServer } from "./virtual-server.ts";
import { commands } from "./wire.ts";

const web: VirtualServer = { protocol: "TCP", address: "192.0.2.1", port: 80, scheduler: "rr" };

test("new IpvsClient() throws unsupported where the kernel has no IPVS", () => {
  using connection = fakeConnection(() => [{ errno: 2 }]);
  expect(() => new IpvsClient(connection)).toThrow(
    expect.objectContaining({
      code: "unsupported",
      message: "Cannot find generic netlink family IPVS: ENOENT",
    }),
  );
});

test("new IpvsClient() takes the number that the family has in this kernel", () => {
  using client = new IpvsClient(new FakeIpvs({ familyId: 0x23 }).open());
  expect(client.family).toMatchObject({ id: 0x23, version: 1 });
  client.addVirtualServer(web);
  expect(client.findVirtualServer(web, { statistics: false })).toEqual(web);
});

test("transactEach() forgives each request what it tolerates, however many there are", async () => {
  using client = new IpvsClient(new FakeIpvs().open());
  client.addVirtualServer(web);
  const tolerant = { tolerant: true };
  const requests = function* () {
    for (let index = 0; index < 3000; index++) {
      yield index % 3 === 0
        ? addVirtualServerRequest(client.family, web)
        : addVirtualServerRequest(client.family, web, tolerant);
    }
  };
  const refused: number[] = [];
  await client.transactEach(requests(), ({ error }, index) => {
    if (error !== undefined) refused.push(index);
  });
  expect(refused).toEqual(Array.from({ length: 1000 }, (_, index) => index * 3));
});

test("transact() tolerates no other refusal, and keeps a lost answer lost", () => {
  const fake = new FakeIpvs();
  using busy = new IpvsClient(
    fakeConnection(faultyKernel(fake.kernel, (request) => (changes(request) ? 16 : undefined))),
  );
  const tolerant = { tolerant: true };
  const codes = busy
    .transact([
      addVirtualServerRequest(busy.family, web, tolerant),
      deleteVirtualServerRequest(busy.family, web, tolerant),
    ])
    .map(({ error }) => error?.code);
  expect(codes).toEqual(["busy", "busy"]);

  using deaf = new IpvsClient(losing(fake.open(), () => true));
  const [lost] = deaf.transact([addVirtualServerRequest(deaf.family, web, tolerant)]);
  expect(lost?.error?.code).toBe("lost");
});

test("methods throw what the kernel refuses, without root as well", async () => {
  const { kernel } = new FakeIpvs();
  using client = new IpvsClient(
    fakeConnection(faultyKernel(kernel, ({ type }) => (type === 16 ? undefined : 1))),
  );
  const denied = expect.objectContaining({ code: "denied" });
  expect(() => client.addVirtualServer(web)).toThrow(denied);
  expect(() => client.findVirtualServer(web)).toThrow(denied);
  expect(() => client.getInfo()).toThrow(denied);
  expect(() => client.stopDaemon("master")).toThrow(denied);
  await expect(client.listAll()).rejects.toEqual(denied);
  await expect(client.listDaemons()).rejects.toEqual(denied);
});

test("reading fails with unsupported once the family's number is no longer its own", async () => {
  const before = new FakeIpvs();
  let kernel = before.kernel;
  using client = new IpvsClient(fakeConnection((request) => kernel(request)));
  kernel = new FakeIpvs({ familyId: 0x1d }).kernel;
  await expect(client.listVirtualServers()).rejects.toMatchObject({ code: "unsupported" });
  await expect(client.listRealServers(web)).rejects.toMatchObject({ code: "unsupported" });
  expect(() => client.findVirtualServer(web)).toThrow(expect.objectContaining({ code: "unsupported" }));
});

test("getInfo() throws truncated for an answer that is empty", () => {
  const { kernel } = new FakeIpvs();
  using client = new IpvsClient(fakeConnection((request) => (request.type === 16 ? kernel(request) : [])));
  expect(() => client.getInfo()).toThrow(expect.objectContaining({ code: "truncated" }));
});

test("stopDaemon() asks again when it gets no answer, as for a daemon whose thread has not yet run", async () => {
  let losses = 0;
  const connection = losing(new FakeIpvs().open(), ({ payload }) => {
    return payload[0] === commands.deleteDaemon && losses++ === 0;
  });
  using client = new IpvsClient(connection);
  client.startDaemon({ role: "master", interface: "lo", syncId: 1 });
  client.stopDaemon("master");
  expect(losses).toBe(2);
  expect(await client.listDaemons()).toEqual([]);
});

test("an IpvsClient closes its connection with itself", () => {
  const client = new IpvsClient(new FakeIpvs().open());
  client[Symbol.dispose]();
  expect(() => client.getInfo()).toThrow(TypeError);
});

/** A connection on which the answers to some requests are lost, the question for the family never. */
function losing(
  connection: NetlinkConnection,
  isLost: (request: NetlinkRequest) => boolean,
): NetlinkConnection {
  return {
    transact: (requests) =>
      connection.transact(requests).map((outcome, index) => {
        const request = requests[index];
        if (request === undefined || request.type === 16 || !isLost(request)) return outcome;
        return { ...outcome, error: new KernelError("lost", request.operation) };
      }),
    transactEach: (requests, visit) => connection.transactEach(requests, visit),
    dump: (request, visit) => connection.dump(request, visit),
    [Symbol.dispose]: () => connection[Symbol.dispose](),
  };
}

/** Whether a request is neither the question for the family nor one that reads. */
function changes({ type, payload }: FakeRequest): boolean {
  return type !== 16 && payload[0] !== commands.getService;
}
