/** package-lock.json is one that `npm ci` accepts on every platform. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { missingEntries, parseLock } from "../../../scripts/package-lock.ts";

describe("package-lock.json", () => {
  it("has an entry for every optional package of its packages", () => {
    const file = new URL("../../../../package-lock.json", import.meta.url);
    const lock = parseLock(readFileSync(file, "utf8"));
    const missing = [...missingEntries(lock.packages).keys()];
    assert.deepEqual(missing, [], "complete it with: npm run lock");
  });

  it("misses what is named by a package and has no entry, with its platform", () => {
    const entries = {
      "": {},
      "node_modules/a": {
        dev: true,
        optionalDependencies: {
          "@a/linux-x64-musl": "1.0.0",
          "@a/win32-arm64": "1.0.0",
          b: "2.0.0",
        },
      },
      "node_modules/a/node_modules/b": { version: "2.0.0" },
    };
    assert.deepEqual(
      [...missingEntries(entries)],
      [
        [
          "node_modules/@a/linux-x64-musl",
          {
            version: "1.0.0",
            cpu: ["x64"],
            dev: true,
            libc: ["musl"],
            optional: true,
            os: ["linux"],
          },
        ],
        [
          "node_modules/@a/win32-arm64",
          { version: "1.0.0", cpu: ["arm64"], dev: true, optional: true, os: ["win32"] },
        ],
      ],
    );
  });
});
