/** The reference pages of docs/ say what the code says. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { renderPages } from "../../../scripts/docs-pages.ts";

describe("the reference pages", () => {
  it("are what scripts/gen-docs makes of the code", async () => {
    for (const { name, text } of await renderPages()) {
      const file = new URL(`../../../../docs/${name}`, import.meta.url);
      assert.equal(readFileSync(file, "utf8"), text, `docs/${name} is stale: scripts/gen-docs`);
    }
  });

  it("show every verb with an example and every exit code", async () => {
    const cli = (await renderPages()).find(({ name }) => name === "cli.md")?.text ?? "";
    const sections = cli.split(/^(?=## |### )/m).filter((part) => /^#+ twillctl ./.test(part));
    assert.ok(sections.length >= 9, String(sections.length));
    const bare = sections.filter((part) => !/Example|Commands:/.test(part));
    assert.deepEqual(bare, []);
    assert.match(cli, /\| 70 \|/);
  });
});
