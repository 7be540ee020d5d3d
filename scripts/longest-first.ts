/**
 * The order of test files: those that take minutes in a guest begin first, so that none of them is left to run alone at the end.
 * Without this, Vitest begins with the largest files.
 *
 * @module
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The longest ones, in their order. */
const longest = [
  "e2e/ipvs/suites.test.ts",
  "e2e/ipvs/mode-switch.test.ts",
  "e2e/networks/ipvs.test.ts",
  "e2e/ipvs/flows.test.ts",
];

/** Puts the longest ones in front and leaves the others in Vitest's order. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = longest.findIndex((file) => moduleId.endsWith(file));
      return found < 0 ? longest.length : found;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
