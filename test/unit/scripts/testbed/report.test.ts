/** The lab's tables. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatMs, table } from "../../../../scripts/testbed/report.ts";

describe("the lab's report", () => {
  it("lines up columns by their widest cell and leaves no blanks at the end", () => {
    assert.deepEqual(
      table([
        ["a", "long heading", "c"],
        ["wider", "x", ""],
      ]),
      ["a      long heading  c", "wider  x"],
    );
  });

  it("says milliseconds up to ten seconds, then seconds", () => {
    assert.equal(formatMs(12.4), "12 ms");
    assert.equal(formatMs(9_999), "9999 ms");
    assert.equal(formatMs(12_345), "12.3 s");
  });
});
