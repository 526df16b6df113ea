/** What of node_modules goes into a package. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isShipped, productionModules } from "../../../../scripts/packaging/production-modules.ts";

const LOCK = JSON.stringify({
  packages: {
    "": { name: "twill" },
    "node_modules/a": {},
    "node_modules/a/node_modules/b": {},
    "node_modules/lint": { dev: true },
    "node_modules/@types/node": {},
    "node_modules/native-arm": { optional: true },
    "node_modules/native-here": { optional: true },
  },
});

describe("the shipped modules", () => {
  it("are those of production that are installed here", () => {
    const modules = productionModules(LOCK, (path) => path !== "node_modules/native-arm");
    const expected = [
      "node_modules/a",
      "node_modules/a/node_modules/b",
      "node_modules/native-here",
    ];
    assert.deepEqual(modules, expected);
  });

  it("are never fewer than the lock asks for", () => {
    assert.throws(() => productionModules(LOCK, () => false), /node_modules\/a is not installed/);
  });

  it("come without what nothing loads, and with their licences", () => {
    const files = [
      "index.js",
      "LICENSE.md",
      "lib/x.json",
      "types/index.d.ts",
      "README.md",
      "a.js.map",
    ];
    const shipped = files.filter((file) => isShipped(file, false));
    assert.deepEqual(shipped, ["index.js", "LICENSE.md", "lib/x.json"]);
    assert.equal(isShipped("test", true), false);
    assert.equal(isShipped("lib/test", true), true);
    assert.equal(isShipped("node_modules", true), false);
  });
});
