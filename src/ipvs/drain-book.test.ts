/**
 * @module
 */
import { expect, test } from "vitest";
import { DrainBook } from "./drain-book.ts";

test("DrainBook keeps the first deadline of a real server until it is forgotten", () => {
  const book = new DrainBook();
  book.add("TCP 10.96.0.10:80", "10.244.1.1:80", 100);
  book.add("TCP 10.96.0.10:80", "10.244.1.1:80", 200);
  book.add("TCP 10.96.0.10:80", "10.244.1.2:80", 300);
  expect(book.size).toBe(2);
  expect(book.has("TCP 10.96.0.10:80", "10.244.1.1:80")).toBe(true);
  expect(book.servers()).toEqual(["TCP 10.96.0.10:80"]);
  expect([...book.deadlines("TCP 10.96.0.10:80")]).toEqual([
    ["10.244.1.1:80", 100],
    ["10.244.1.2:80", 300],
  ]);
  book.delete("TCP 10.96.0.10:80", "10.244.1.1:80");
  book.add("TCP 10.96.0.10:80", "10.244.1.1:80", 400);
  expect(book.deadlines("TCP 10.96.0.10:80").get("10.244.1.1:80")).toBe(400);
});

test("DrainBook has no virtual server without a real server that drains", () => {
  const book = new DrainBook();
  book.add("a", "10.244.1.1:80", 1);
  book.delete("a", "10.244.1.1:80");
  book.delete("b", "10.244.1.1:80");
  book.add("c", "10.244.1.1:80", 1);
  book.deleteServer("c");
  expect(book.servers()).toEqual([]);
  expect(book.deadlines("c").size).toBe(0);
  expect(book.has("c", "10.244.1.1:80")).toBe(false);
  expect(book.size).toBe(0);
});
