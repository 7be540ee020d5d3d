/**
 * Documents for programs: they parse, and hold what the table holds.
 *
 * @module
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";
import type { ServiceTable, VirtualServerRow } from "./service-table.ts";
import { jsonDocument, structuredValue, tableList, yamlDocument } from "./structured-format.ts";

const row: VirtualServerRow = {
  family: "IPv4",
  protocol: "TCP",
  address: "10.96.0.10",
  port: 80,
  scheduler: "random",
  service: { namespace: "ns", name: "web", port: "" },
  totals: { connections: 7n, incomingBytes: 2n ** 60n + 1n },
  realServers: [
    { address: "10.244.1.5", port: 8080, forwarding: "masquerade", weight: 1, activeConnections: 2 },
  ],
};

const tables: readonly ServiceTable[] = [
  {
    source: "ipvs",
    info: { version: "1.2.1", connectionTableSize: 4096 },
    virtualServers: [row, { ...row, port: 81 }],
  },
  { source: "iptables-nft", virtualServers: [] },
];

/** Text of both kinds as values; numbers of 2^53 and more as far as a number can hold them. */
function documents(list: readonly ServiceTable[]): readonly unknown[] {
  const lists = () => list.map((table) => tableList(table));
  return [
    JSON.parse([...jsonDocument("tables", lists())].join("")),
    parse([...yamlDocument("tables", lists())].join("")),
  ];
}

function expected(list: readonly ServiceTable[]): unknown {
  const text = JSON.stringify({ tables: list }, (_, value: unknown) =>
    typeof value === "bigint" ? Number(value) : value,
  );
  return JSON.parse(text);
}

test("both documents hold the tables", () => {
  for (const list of [tables, [], tables.slice(1)]) {
    for (const document of documents(list)) expect(document).toEqual(expected(list));
  }
});

test("each virtual server is one line of JSON, and counters are written in full", () => {
  const text = [
    ...jsonDocument("tables", [tableList(tables[0] ?? { source: "ipvs", virtualServers: [] })]),
  ].join("");
  expect(text.split("\n")).toHaveLength(5);
  expect(text).toContain('"incomingBytes":1152921504606846977');
  expect(
    [
      ...yamlDocument(
        "tables",
        tables.map((table) => tableList(table)),
      ),
    ].join(""),
  ).toContain("incomingBytes: 1152921504606846977\n");
});

test("text with anything in it survives", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (name, port) => {
      const list: readonly ServiceTable[] = [
        { source: "ipvs", virtualServers: [{ ...row, service: { namespace: "ns", name, port } }] },
      ];
      for (const document of documents(list)) expect(document).toEqual(expected(list));
    }),
  );
});

test("structuredValue() prints a value by itself", () => {
  expect(structuredValue("json", { timeouts: { tcp: 1 } })).toBe('{"timeouts":{"tcp":1}}\n');
  expect(structuredValue("yaml", { timeouts: { tcp: 1 } })).toBe("timeouts:\n  tcp: 1\n");
});
