/**
 * The benchmark suite: `./scripts/bench [ROW...] [--quick] [--json FILE]`. Prints one JSON line
 * per figure as it is measured, and a table at the end. Exit codes: 0 every run was valid, 1 one
 * was not (or a wrong answer), 2 wrong usage. A target that is not met is said, and fails nothing:
 * times on a shared machine are no test.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nearest } from "../../common/text/nearest.ts";
import { ROWS } from "./rows.ts";
import { describeMachine, watchMachine } from "./support/machine.ts";
import { type Line, round, table } from "./support/report.ts";
import type { Bench, Figure, Row, RunOptions } from "./support/row.ts";

const { values, positionals } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    system: { type: "string" },
    nodes: { type: "string" },
    profile: { type: "string" },
    seed: { type: "string", default: "1" },
    help: { type: "boolean", short: "h", default: false },
  },
  allowPositionals: true,
});

const names = ROWS.map(({ name }) => name);
const unknown = positionals.find((name) => !names.includes(name));
if (values.help) process.stdout.write(help());
else if (unknown !== undefined) refuse(unknown);
else await main(positionals.length === 0 ? ROWS : named(positionals));

async function main(rows: readonly Row[]): Promise<void> {
  const lines: Line[] = [];
  const faults: string[] = [];
  emit({ machine: describeMachine(), quick: values.quick });
  for (const row of rows) {
    if (row.needsRoot === true && process.getuid?.() !== 0) {
      process.stderr.write(`${row.name}: not run without root, because it makes namespaces\n`);
      continue;
    }
    const figures: Figure[] = [];
    const quiet = watchMachine();
    const fault = await runRow(row, figures);
    const { isBusy, ...shares } = quiet();
    const measured = figures.map((figure) => ({ row: row.name, ...figure, busy: isBusy }));
    for (const line of measured) emit({ ...line, value: round(line.value) });
    lines.push(...measured);
    emit({ row: row.name, ...rounded(shares), valid: fault === undefined });
    if (fault !== undefined) faults.push(`${row.name}: ${fault}`);
  }
  process.stdout.write(`\n${table(lines)}`);
  for (const fault of faults) process.stdout.write(`NOT VALID  ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
}

/** What made the run invalid; undefined: nothing. */
async function runRow(row: Row, figures: Figure[]): Promise<string | undefined> {
  const bench: Bench = {
    ...options(),
    report: (figure) => figures.push(figure),
    note: (text) => process.stderr.write(`${row.name}: ${text}\n`),
  };
  bench.note(row.what);
  try {
    await row.run(bench);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

function options(): RunOptions {
  const { quick, system, nodes, seed, profile } = values;
  return { quick, system, profile, nodes: nodes?.split(",").map(Number), seed: Number(seed) };
}

function emit(line: Readonly<Record<string, unknown>>): void {
  const text = `${JSON.stringify(line)}\n`;
  process.stdout.write(text);
  if (values.json === undefined) return;
  if ("machine" in line) writeFileSync(values.json, text);
  else appendFileSync(values.json, text);
}

function rounded(shares: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(shares).map(([name, value]) => [name, round(value)]));
}

function named(wanted: readonly string[]): readonly Row[] {
  return ROWS.filter(({ name }) => wanted.includes(name));
}

function refuse(word: string): void {
  const meant = nearest(word, names);
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  process.stderr.write(`unknown row "${word}"${hint}\n${help()}`);
  process.exitCode = 2;
}

function help(): string {
  const width = Math.max(...names.map(({ length }) => length));
  const rows = ROWS.map(({ name, what }) => `  ${name.padEnd(width)}  ${what}`);
  return [
    "usage: ./scripts/bench [ROW...] [--quick] [--json FILE]",
    "",
    "  --quick         small sizes, correctness only: what CI runs",
    "  --json FILE     the JSON lines as a file too",
    "  --nodes N,...   other sizes than the row's own",
    "  --system CMD    another command as the system under test, where a row can use one",
    "  --profile DIR   CPU profiles of the controllers",
    "  --seed S        of the simulation",
    "",
    ...rows,
    "",
  ].join("\n");
}
