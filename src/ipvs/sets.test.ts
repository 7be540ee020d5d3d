/**
 * @module
 */
import { expect, test } from "vitest";
import { families } from "../proxier/address.ts";
import { setComment, setDefinition, setName, setRoles, setType } from "./sets.ts";

test("setName() is kube-proxy's, cut where the kernel's limit asks for it", () => {
  expect(setName("clusterIP", "IPv4")).toBe("KUBE-CLUSTER-IP");
  expect(setName("clusterIP", "IPv6")).toBe("KUBE-6-CLUSTER-IP");
  expect(setName("allowedRange", "IPv6")).toBe("KUBE-6-LOAD-BALANCER-SOURCE-CID");
  expect(setName("nodePortLocalSCTP", "IPv6")).toBe("KUBE-6-NODE-PORT-LOCAL-SCTP-HAS");
});

test("setName() gives every role and family a name of its own that the kernel takes", () => {
  const names = families.flatMap((family) => setRoles.map((role) => setName(role, family)));
  expect(new Set(names).size).toBe(2 * setRoles.length);
  expect(names.filter((name) => name.length > 31 || !name.startsWith("KUBE-"))).toEqual([]);
});

test("setDefinition() has a family exactly where the type has one, and marks for one role", () => {
  for (const role of setRoles) {
    const definition = setDefinition(role, "IPv6");
    expect(definition.family).toBe(setType(role) === "bitmap:port" ? undefined : "IPv6");
    expect(definition.marks === true).toBe(role === "mark");
  }
});

test("setComment() is kube-proxy's, and none for our own sets", () => {
  expect(setComment("boundAddress")).toBe("Addresses on the ipvs interface");
  const own = setRoles.filter((role) => setName(role, "IPv4").startsWith("KUBE-SLUICE-"));
  expect(own.map(setComment).filter((text) => text !== "")).toEqual([]);
  expect(setRoles.filter((role) => setComment(role) === "")).toEqual(own);
});
