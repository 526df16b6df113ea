/** `scripts/gen-docs [--check]`: writes the pages of docs/ that are made from code, or compares. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { renderPages } from "./docs-pages.ts";

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
for (const { name, text } of await renderPages()) {
  const file = fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  if (values.check) {
    process.stderr.write(`docs/${name} is stale: run scripts/gen-docs\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    process.stdout.write(`docs/${name} written\n`);
  }
}
