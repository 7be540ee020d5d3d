/**
 * Tests of comparing values.
 *
 * @module
 */
import { expect, test } from "vitest";
import { decodeService } from "./decode-service.ts";
import { sameObject } from "./same-value.ts";
import { serviceJson } from "./testing.ts";

test("sameObject() overlooks the version and nothing else", () => {
  const object = (version: string, port: number): NonNullable<ReturnType<typeof decodeService>["object"]> => {
    const decoded = decodeService(serviceJson("web", version, port)).object;
    if (decoded === undefined) {
      throw new Error("The Service was refused");
    }
    return decoded;
  };
  expect(sameObject(object("1", 80), object("2", 80))).toBe(true);
  expect(sameObject(object("1", 80), object("1", 81))).toBe(false);
});
