/** One version, wherever it is asked for. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { VERSION } from "../../../common/version.ts";

it("the version that runs is the package's", () => {
  const text = readFileSync(new URL("../../../../package.json", import.meta.url), "utf8");
  assert.equal(/"version": "([^"]+)"/.exec(text)?.[1], VERSION);
});
