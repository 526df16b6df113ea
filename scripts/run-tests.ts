/**
 * Runs test tiers from dist/ in the order given:
 *   node dist/scripts/run-tests.js unit contract [--only PATTERN]
 * Unit tests run side by side; every other tier owns namespaces, etcd and CPU, one file at a time.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const TIMEOUT_MS: Record<string, number> = { unit: 60_000, contract: 180_000 };
const DEFAULT_TIMEOUT_MS = 600_000;

const { values, positionals } = parseArgs({
  options: { only: { type: "string", default: "" } },
  allowPositionals: true,
});
const root = fileURLToPath(new URL("../test/", import.meta.url));

for (const tier of positionals.length > 0 ? positionals : ["unit"]) {
  const files = await testFiles(tier);
  if (files.length === 0) {
    process.stderr.write(`no ${tier} test matches "${values.only}"\n`);
    process.exitCode = 1;
  } else {
    process.stdout.write(`\n== ${tier}: ${files.length} files\n`);
    await runTier(tier, files);
  }
}

async function testFiles(tier: string): Promise<string[]> {
  const entries = await readdir(join(root, tier), { recursive: true });
  return entries
    .filter((entry) => entry.endsWith(".test.js") && entry.includes(values.only))
    .sort()
    .map((entry) => join(root, tier, entry));
}

async function runTier(tier: string, files: string[]): Promise<void> {
  const timeout = TIMEOUT_MS[tier] ?? DEFAULT_TIMEOUT_MS;
  const events = run({ files, concurrency: tier === "unit" ? 2 : 1, timeout });
  events.on("test:fail", () => {
    process.exitCode = 1;
  });
  for await (const chunk of events.compose(new spec())) process.stdout.write(String(chunk));
}
