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
  const file = fileURLToPath(new URL(name, FOLDER));
  if (process.env["UPDATE_GOLDEN"] === "1") {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, actual);
    return;
  }
  assert.equal(actual, readGolden(file, name));
}

export function golden(name: string): string {
  return readGolden(fileURLToPath(new URL(name, FOLDER)), name);
}

function readGolden(file: string, name: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new Error(`no test/golden/${name}; make it with UPDATE_GOLDEN=1`, { cause: error });
  }
}
