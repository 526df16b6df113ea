/**
 * Compares a text with a checked-in file under test/golden/. UPDATE_GOLDEN=1 rewrites the
 * files instead; review the diff before committing it.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

/** Tests run from dist/test/…; the golden files stay in the source tree. */
const FOLDER = new URL("../../../test/golden/", import.meta.url);

export function assertGolden(name: string, actual: string): void {
  if (isUpdating()) {
    mkdirSync(dirname(pathOf(name)), { recursive: true });
    writeFileSync(pathOf(name), actual);
    return;
  }
  assert.equal(actual, readGolden(name));
}

export function golden(name: string): string {
  return readGolden(name);
}

/** The files are being rewritten: nothing can be waited for. */
export function isUpdating(): boolean {
  return process.env["UPDATE_GOLDEN"] === "1";
}

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, FOLDER));
}

function readGolden(name: string): string {
  try {
    return readFileSync(pathOf(name), "utf8");
  } catch (error) {
    throw new Error(`no test/golden/${name}; make it with UPDATE_GOLDEN=1`, { cause: error });
  }
}
