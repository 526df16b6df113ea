/**
 * Runs test tiers from dist/, as one run of node's test runner, so that its closing lines
 * count everything:
 *   node dist/scripts/run-tests.js [TIER...] [--only PATTERN] [--jobs N]
 *   node dist/scripts/run-tests.js soak --minutes N --seed S
 * Without a tier: all. Unit tests share one process (test/unit.ts); every other file has its
 * own, two at a time (--jobs N): most of their time they wait for an etcd lease to end, and a
 * guest kernel has one CPU. Exit codes: 0 good, 1 a test failed, 2 wrong usage.
 */
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { Readable } from "node:stream";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { nearest } from "../common/text/nearest.ts";
import { withHeadings } from "./test-events.ts";

const TIERS = ["unit", "contract", "integration", "fault", "browser", "package", "docker", "guest"];
/** Only on request: it takes as long as it is told. */
const SOAK = "soak";
/** A file that takes longer hangs. */
const TIMEOUT_MS = 600_000;
const NO_LIMIT_MS = 2 ** 31 - 1;
const root = fileURLToPath(new URL("../test/", import.meta.url));

const { values, positionals } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    jobs: { type: "string", default: "2" },
    minutes: { type: "string" },
    seed: { type: "string" },
  },
  allowPositionals: true,
});
const unknown = positionals.filter((tier) => tier !== SOAK && !TIERS.includes(tier));
if (values.minutes !== undefined) process.env["TWILL_SOAK_MINUTES"] = values.minutes;
if (values.seed !== undefined) process.env["TWILL_SOAK_SEED"] = values.seed;
const jobs = Number(values.jobs);
if (unknown.length > 0) refuse(unknown);
else if (!Number.isSafeInteger(jobs) || jobs < 1) refuseJobs(values.jobs);
else await main(positionals.length > 0 ? positionals : TIERS);

async function main(wanted: readonly string[]): Promise<void> {
  const tiers = wanted.filter((tier) => tier === "unit" || process.getuid?.() === 0);
  if (tiers.length < wanted.length) {
    say("not run without root, because they make network namespaces: all but unit tests");
  }
  const files = tiers.flatMap(testFiles);
  if (files.length === 0) {
    say(`no test of ${wanted.join(", ")} matches "${values.only}"`);
    process.exitCode = 1;
    return;
  }
  const events = run({
    files,
    concurrency: wanted.includes(SOAK) ? 1 : jobs,
    timeout: wanted.includes(SOAK) ? NO_LIMIT_MS : TIMEOUT_MS,
  });
  events.on("test:fail", () => {
    process.exitCode = 1;
  });
  const shown = Readable.from(withHeadings(events, tierOf)).pipe(new spec());
  for await (const chunk of shown) process.stdout.write(String(chunk));
}

function testFiles(tier: string): string[] {
  const folder = join(root, tier);
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((entry) => entry.endsWith(".test.js") && entry.includes(values.only))
    .sort()
    .map((entry) => join(folder, entry));
  if (tier !== "unit" || files.length === 0) return files;
  process.env["TWILL_UNIT_ONLY"] = values.only;
  return [join(root, "unit.js")];
}

/** Tests that are made by a helper say that the helper's file began them: no tier of its own. */
function tierOf(file: string): string | undefined {
  // Unit tests begin in test/unit.js.
  const tier = relative(root, file).split(/[/.]/)[0] ?? "";
  return tier === SOAK || TIERS.includes(tier) ? tier : undefined;
}

function refuse(words: readonly string[]): void {
  for (const word of words) {
    const meant = nearest(word, TIERS);
    const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
    say(`unknown test tier "${word}"${hint} (${TIERS.join(", ")}; --only PATTERN picks files)`);
  }
  process.exitCode = 2;
}

function refuseJobs(text: string): void {
  say(`--jobs takes a number from 1 on, not "${text}"`);
  process.exitCode = 2;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
