/**
 * Puts a run of the suite into the documentation:
 *   ./scripts/bench --json FILE; node dist/test/bench/publish.js FILE [FILE...]
 * Pictures go to docs/performance/, the table between the markers of docs/performance.md. Of
 * several files the later ones' figures count.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Chart, renderChart, type Series } from "./support/chart.ts";
import { type Line, round } from "./support/report.ts";

const DOCS = fileURLToPath(new URL("../../../docs/", import.meta.url));
const MARKERS = ["<!-- figures -->", "<!-- end of figures -->"] as const;

interface Picture extends Omit<Chart, "series"> {
  readonly file: string;
  /** Figure, and what it is called in the picture. */
  readonly lines: readonly (readonly [figure: string, name: string])[];
  /** Of the figure's circumstances: the one along the x axis. */
  readonly along: string;
}

const PICTURES: readonly Picture[] = [
  {
    file: "fanout.svg",
    title: "One change in etcd, until all agents have acknowledged it",
    ...{ xLabel: "agents", yLabel: "ms", along: "nodes" },
    lines: [
      ["fanout.all_acknowledged_p50", "all, p50"],
      ["fanout.all_acknowledged_p99", "all, p99"],
      ["fanout.one_agent_p50", "one agent, p50"],
    ],
  },
  {
    file: "fanout-cost.svg",
    title: "What one change costs for each agent",
    ...{ xLabel: "agents", yLabel: "per agent", along: "nodes" },
    lines: [
      ["fanout.controller_cpu", "controller µs"],
      ["fanout.bytes", "bytes"],
    ],
  },
  {
    file: "cold-start.svg",
    title: "A whole fleet starts at once, until everybody has everybody",
    ...{ xLabel: "nodes", yLabel: "s", along: "nodes" },
    lines: [["cold-start.full_mesh", "full mesh"]],
  },
  {
    file: "kernel.svg",
    title: "One node meets a table: kernel programmed, and compared when unchanged",
    ...{ xLabel: "peers", yLabel: "ms", along: "peers" },
    lines: [
      ["kernel.programmed", "programmed"],
      ["kernel.resync", "compared"],
    ],
  },
];

const lines = process.argv.slice(2).flatMap(readLines);
const latest = new Map(lines.map((line) => [identity(line), line]));
mkdirSync(`${DOCS}performance`, { recursive: true });
for (const picture of PICTURES) draw(picture);
fillTable();

function readLines(file: string): Line[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((text) => text.includes('"figure"'))
    .map((text) => JSON.parse(text) as Line);
}

function identity({ figure, of }: Line): string {
  return `${figure} ${JSON.stringify(of ?? {})}`;
}

function draw({ file, lines: wanted, along, ...labels }: Picture): void {
  const series = wanted.map(([figure, name]): Series => {
    const points = [...latest.values()]
      .filter((line) => line.figure === figure && line.of?.["transport"] !== "mTLS")
      .map((line) => ({ x: Number(line.of?.[along]), y: line.value }));
    return { name, points };
  });
  const drawable = series.filter(({ points }) => points.length > 1);
  if (drawable.length === 0) return;
  writeFileSync(`${DOCS}performance/${file}`, renderChart({ ...labels, series: drawable }));
}

function fillTable(): void {
  const page = `${DOCS}performance.md`;
  const text = readFileSync(page, "utf8");
  const [from, to] = MARKERS.map((marker) => text.indexOf(marker));
  if (from === undefined || to === undefined || from < 0 || to < from) {
    throw new Error(`${page} lacks ${MARKERS.join(" and ")}`);
  }
  const head = ["| Figure | Of | Value | Target | |", "| --- | --- | --- | --- | --- |"];
  const rows = [...latest.values()].map(row);
  const filled = [MARKERS[0], "", ...head, ...rows, "", ""].join("\n");
  writeFileSync(page, text.slice(0, from) + filled + text.slice(to));
}

function row({ figure, of = {}, value, unit, target = "", isMet, busy }: Line): string {
  const circumstances = Object.entries(of).map(([name, each]) => `${name} ${each}`);
  const verdict = isMet === undefined ? [] : [isMet ? "met" : "**not met**"];
  const remarks = [...verdict, ...(busy ? ["busy machine"] : [])].join(", ");
  const shown = `${round(value)} ${unit}`;
  return `| \`${figure}\` | ${circumstances.join(", ")} | ${shown} | ${target} | ${remarks} |`;
}
