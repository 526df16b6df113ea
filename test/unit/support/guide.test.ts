/** The guides' commands: which are run, and that none is forgotten. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { readGuide, stepsOf } from "../../support/guide.ts";

const TEXT = ["# One", "```sh machine=a,b", "# no heading", "ls", "```", "```", "output", "```"];
const GUIDES = ["install.md", "operations.md"];

describe("a guide", () => {
  it("gives its marked blocks with heading and machines", () => {
    const steps = stepsOf(TEXT.join("\n"));
    assert.deepEqual(steps, [{ heading: "One", machines: ["a", "b"], script: "# no heading\nls" }]);
  });

  for (const name of GUIDES) {
    it(`${name} marks every block of commands with the machines it is for`, () => {
      const file = new URL(`../../../../docs/${name}`, import.meta.url);
      const blocks = readFileSync(file, "utf8").match(/^```sh.*$/gm) ?? [];
      assert.equal(readGuide(name).length, blocks.length);
      assert.ok(blocks.length > 0);
    });
  }
});
