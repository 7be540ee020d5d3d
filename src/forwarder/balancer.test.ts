/**
 * @module
 */
import { expect, test } from "vitest";
import { Balancer } from "./balancer.ts";
import { backends, target } from "./testing.ts";

function firstOf(balancer: Balancer, nowMs = 0): string {
  return balancer.candidates(nowMs)[0]?.target ?? "none";
}

const three = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"] as const;

test("takes endpoints in turn, and the others as the next to try", () => {
  const balancer = new Balancer(backends(three));
  expect([0, 1, 2, 3].map(() => firstOf(balancer))).toEqual([...three, three[0]]);
  expect(balancer.candidates(0).map((one) => one.target)).toEqual([three[1], three[2], three[0]]);
});

test("goes on with the endpoints that are there", () => {
  const balancer = new Balancer(backends(three));
  balancer.candidates(0);
  balancer.candidates(0);
  balancer.backends = backends([three[0]]);
  expect([firstOf(balancer), firstOf(balancer)]).toEqual([three[0], three[0]]);
});

test("with affinity stays with the endpoint that answered, for as long as the last connection is recent", () => {
  const balancer = new Balancer(backends(three, { affinityMs: 1_000 }));
  balancer.connected(target(three[1]), 0);
  expect([firstOf(balancer, 900), firstOf(balancer, 1_000)]).toEqual([three[1], three[1]]);
  balancer.connected(target(three[1]), 1_000);
  expect(firstOf(balancer, 1_900)).toBe(three[1]);
  const later = [2_001, 2_001, 2_001].map((nowMs) => firstOf(balancer, nowMs));
  expect(later.toSorted()).toEqual([...three]);
});

test("affinity ends with the endpoint", () => {
  const balancer = new Balancer(backends(three, { affinityMs: 1_000 }));
  balancer.connected(target(three[1]), 0);
  balancer.backends = backends([three[0], three[2]], { affinityMs: 1_000 });
  expect(
    balancer
      .candidates(10)
      .map((one) => one.target)
      .toSorted(),
  ).toEqual([three[0], three[2]]);
});

test("knows which endpoints serve", () => {
  const balancer = new Balancer(backends([three[0]], { serving: new Set([three[0], three[2]]) }));
  expect(three.map((one) => balancer.serves(one))).toEqual([true, false, true]);
});
