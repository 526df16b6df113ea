/** The figures as people read them: one line each, with the target beside it. */
import type { Figure } from "./row.ts";

export interface Line extends Figure {
  readonly row: string;
  /** Others used the machine meanwhile. */
  readonly busy: boolean;
}

export function table(lines: readonly Line[]): string {
  const rows = lines.map((line) => [
    line.figure,
    Object.entries(line.of ?? {})
      .map(([name, value]) => `${name} ${value}`)
      .join(", "),
    `${round(line.value)} ${line.unit}`,
    line.target ?? "",
    verdict(line),
  ]);
  const head = ["figure", "of", "value", "target", ""];
  const widths = head.map((_, column) =>
    Math.max(...[head, ...rows].map((row) => (row[column] ?? "").length)),
  );
  const text = [head, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `${text.join("\n")}\n`;
}

export function round(value: number): number {
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  return Number(value.toFixed(digits));
}

function verdict({ isMet, busy }: Line): string {
  const met = isMet === undefined ? "" : isMet ? "met" : "not met";
  return [met, busy ? "busy machine" : ""].filter((word) => word !== "").join(", ");
}
