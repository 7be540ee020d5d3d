/**
 * Decoding of files that nobody wrote on purpose.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { decodeConfig } from "./decode-config.ts";
import { bytesOf, kubeadmFile } from "./testing.ts";

/** Names that occur in the schema, so that random documents reach it. */
const anyName = fc.constantFrom(
  "mode",
  "iptables",
  "ipvs",
  "syncPeriod",
  "masqueradeBit",
  "excludeCIDRs",
  "logging",
  "flushFrequency",
  "vmodule",
  "featureGates",
  "sluice",
  "affinity",
  "backend",
  "__proto__",
  "clusterCIDR",
);
const anyLeaf = fc.oneof(fc.constantFrom("30s", "auto", "primary", "", 0, -1, 1.5, true, null), fc.string());
const { tree: anyTree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    anyLeaf,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(anyName, tie("tree"), { maxKeys: 4 }),
  ),
}));

test("decodeConfig() gives fields or a ConfigError for any object", () => {
  fc.assert(
    fc.property(fc.dictionary(anyName, anyTree), (object) => {
      const json = JSON.stringify({
        ...object,
        apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
      });
      expectFieldsOrConfigError(bytesOf(json));
    }),
    { numRuns: 500 },
  );
});

test("decodeConfig() gives fields or a ConfigError for any bytes and for any damaged file", () => {
  const damaged = fc
    .tuple(
      fc.nat(kubeadmFile.length),
      fc.nat(20),
      fc.string({ unit: fc.constantFrom(..."[]{}:-\"'&*\t\n #a0") }),
    )
    .map(([at, cut, insert]) => bytesOf(kubeadmFile.slice(0, at) + insert + kubeadmFile.slice(at + cut)));
  fc.assert(fc.property(fc.oneof(fc.uint8Array(), damaged), expectFieldsOrConfigError), { numRuns: 300 });
});

function expectFieldsOrConfigError(bytes: Uint8Array): void {
  try {
    expect(decodeConfig(bytes).fields.metricsBindAddress).not.toBe("");
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
  }
}
