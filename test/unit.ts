/**
 * The unit tier as one file for the test runner: it starts a process per file, and loading
 * Node and the libraries 111 times cost 60 s of CPU where the tests themselves take 10.
 * TWILL_UNIT_ONLY picks files by a part of their path.
 */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("./unit/", import.meta.url));
const only = process.env["TWILL_UNIT_ONLY"] ?? "";

for (const entry of readdirSync(root, { recursive: true, encoding: "utf8" }).sort()) {
  if (entry.endsWith(".test.js") && entry.includes(only)) await import(`${root}${entry}`);
}
