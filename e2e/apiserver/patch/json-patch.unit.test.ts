/**
 * Unit tests of JSON patch.
 *
 * @module
 */
import { expect, test } from "vitest";
import type { Json } from "../json.ts";
import { applyJsonPatch, JsonPatchError } from "./json-patch.ts";

// After the examples of RFC 6902, appendix A.
test.each<[string, Json, Json, Json]>([
  ["adds a member", { foo: "bar" }, [{ op: "add", path: "/baz", value: 1 }], { foo: "bar", baz: 1 }],
  ["replaces an existing member by adding it", { a: 1 }, [{ op: "add", path: "/a", value: 2 }], { a: 2 }],
  ["inserts an element", [1, 3], [{ op: "add", path: "/1", value: 2 }], [1, 2, 3]],
  ["appends at the length", [1], [{ op: "add", path: "/1", value: 2 }], [1, 2]],
  ["appends at the dash", { a: [1] }, [{ op: "add", path: "/a/-", value: [2] }], { a: [1, [2]] }],
  ["replaces the document", { a: 1 }, [{ op: "add", path: "", value: [1] }], [1]],
  ["removes a member", { a: 1, b: 2 }, [{ op: "remove", path: "/a" }], { b: 2 }],
  ["removes an element", [1, 2, 3], [{ op: "remove", path: "/1" }], [1, 3]],
  ["replaces a value", { a: { b: 1 } }, [{ op: "replace", path: "/a/b", value: null }], { a: { b: null } }],
  [
    "moves a value",
    { a: { b: 1 }, c: {} },
    [{ op: "move", from: "/a/b", path: "/c/d" }],
    { a: {}, c: { d: 1 } },
  ],
  ["moves an element", [1, 2, 3], [{ op: "move", from: "/0", path: "/2" }], [2, 3, 1]],
  ["copies a value", { a: [1] }, [{ op: "copy", from: "/a", path: "/b" }], { a: [1], b: [1] }],
  [
    "passes a test",
    { a: { b: 1, c: 2 } },
    [{ op: "test", path: "/a", value: { c: 2, b: 1 } }],
    { a: { b: 1, c: 2 } },
  ],
  [
    "reads escapes",
    { "a/b": 1, "m~n": 2 },
    [
      { op: "remove", path: "/a~1b" },
      { op: "remove", path: "/m~0n" },
    ],
    {},
  ],
  ["reads ~01 as ~1", { "~1": 1 }, [{ op: "remove", path: "/~01" }], {}],
])("applyJsonPatch() %s", (_, document, patch, expected) => {
  expect(applyJsonPatch(document, patch)).toEqual(expected);
});

test.each<[string, Json, Json]>([
  ["a failing test", { a: 1 }, [{ op: "test", path: "/a", value: 2 }]],
  ["a missing parent", {}, [{ op: "add", path: "/a/b", value: 1 }]],
  ["a missing member to remove", {}, [{ op: "remove", path: "/a" }]],
  ["a missing member to replace", {}, [{ op: "replace", path: "/a", value: 1 }]],
  ["an index beyond the end", [1], [{ op: "add", path: "/2", value: 1 }]],
  ["an index with leading zero", [1, 2], [{ op: "remove", path: "/01" }]],
  ["the dash where an element must exist", [1], [{ op: "remove", path: "/-" }]],
  ["a member of a scalar", { a: 1 }, [{ op: "add", path: "/a/b", value: 1 }]],
  ["a value moved into itself", { a: { b: 1 } }, [{ op: "move", from: "/a", path: "/a/b" }]],
  ["an unknown operation", {}, [{ op: "merge", path: "/a", value: 1 }]],
  ["a missing value", {}, [{ op: "add", path: "/a" }]],
  ["a pointer without slash", {}, [{ op: "add", path: "a", value: 1 }]],
  ["an inherited member", {}, [{ op: "test", path: "/constructor", value: 1 }]],
  ["a patch that is no list", {}, { op: "add", path: "/a", value: 1 }],
])("applyJsonPatch() refuses %s", (_, document, patch) => {
  expect(() => applyJsonPatch(document, patch)).toThrow(JsonPatchError);
});

test("applyJsonPatch() leaves the document alone, also when a later operation fails", () => {
  const document = { list: [1] };
  const patch = [
    { op: "add", path: "/list/-", value: 2 },
    { op: "remove", path: "/gone" },
  ];
  expect(() => applyJsonPatch(document, patch)).toThrow(/operation 1: the path "\/gone" does not exist/);
  expect(document).toEqual({ list: [1] });
});

test("applyJsonPatch() makes copies independent of their source", () => {
  const patch = [
    { op: "copy", from: "/a", path: "/b" },
    { op: "add", path: "/b/c", value: 1 },
  ];
  expect(applyJsonPatch({ a: {} }, patch)).toEqual({ a: {}, b: { c: 1 } });
});
