/**
 * Where twillctl writes and how: tables for people, JSON or YAML for scripts, colour only
 * on a terminal. Verbs hand over lines or records; nothing else prints.
 */
import { stringify as toYaml } from "yaml";

export type OutputFormat = "table" | "wide" | "json" | "yaml";

export interface Sink {
  write(text: string): unknown;
  /** A person looks at it. */
  readonly isTTY?: boolean;
}

/** Cursor home, and everything below it gone. */
const CLEAR = "\u001B[H\u001B[2J";

export class Terminal {
  readonly #out: Sink;
  readonly #format: () => OutputFormat;
  readonly nowMs: () => number;

  constructor(out: Sink, format: () => OutputFormat, nowMs: () => number) {
    this.#out = out;
    this.#format = format;
    this.nowMs = nowMs;
  }

  get format(): OutputFormat {
    return this.#format();
  }

  /** JSON or YAML was asked for: print values, not sentences. */
  get isForScripts(): boolean {
    return this.format === "json" || this.format === "yaml";
  }

  /** Before what is printed again: a terminal is cleared, a file gets a line between. */
  startAnew(): void {
    if (!this.isForScripts) this.#out.write(this.#out.isTTY === true ? CLEAR : "\n");
  }

  /** Sentences for people; an array of strings for scripts. */
  lines(lines: readonly string[]): void {
    if (this.isForScripts) this.value(lines);
    else this.#out.write(lines.map((line) => `${line}\n`).join(""));
  }

  /** A table with one column per field of the first record, or the records themselves. */
  records(records: readonly Readonly<Record<string, string | number | boolean>>[]): void {
    if (this.isForScripts) this.value(records);
    else this.#out.write(formatTable(records));
  }

  value(value: unknown): void {
    this.#out.write(
      this.format === "yaml" ? toYaml(value) : `${JSON.stringify(value, undefined, 2)}\n`,
    );
  }
}

/** Columns two spaces apart, headings in capitals, no trailing blanks; empty input: "none". */
export function formatTable(
  records: readonly Readonly<Record<string, string | number | boolean>>[],
): string {
  const [first] = records;
  if (first === undefined) return "none\n";
  const columns = Object.keys(first);
  const rows = [
    columns.map((column) => column.toUpperCase()),
    ...records.map((record) => columns.map((column) => String(record[column] ?? ""))),
  ];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  return rows
    .map((row) => row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("  "))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}
