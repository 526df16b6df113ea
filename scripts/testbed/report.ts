/**
 * How the lab talks to the person who started it: numbered chapters, one line a step with
 * its outcome and time, and a table at the end. On a terminal a running step shows at once
 * and is overwritten by its outcome; elsewhere it is plain lines.
 */
import { systemClock } from "../../common/async/clock.ts";

export interface Outcome {
  readonly what: string;
  readonly isGood: boolean;
  /** The figure or finding, for people. */
  readonly found: string;
}

const WIDTH = 76;

export class Report {
  readonly #out: NodeJS.WriteStream;
  readonly #outcomes: Outcome[] = [];
  #chapters = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  get outcomes(): readonly Outcome[] {
    return this.#outcomes;
  }

  get isGood(): boolean {
    return this.#outcomes.every((outcome) => outcome.isGood);
  }

  /** A heading, and in one sentence what the chapter proves. */
  chapter(title: string, proves: string): void {
    this.#chapters += 1;
    this.#out.write(`\n${this.#bold(`${this.#chapters}. ${title}`)}\n   ${proves}\n`);
  }

  /** Does something that takes time; tells when it began (on a terminal) and how long it took. */
  async step<T>(what: string, work: () => Promise<T>): Promise<T> {
    const started = systemClock.monotonicMs();
    if (this.#out.isTTY) this.#out.write(`   ... ${what}`);
    try {
      const result = await work();
      this.#outcomeLine(true, what, formatMs(systemClock.monotonicMs() - started));
      return result;
    } catch (error) {
      this.#outcomeLine(false, what, formatMs(systemClock.monotonicMs() - started));
      throw error;
    }
  }

  /** Something that must be so; it goes into the table at the end. */
  check(what: string, isGood: boolean, found: string): void {
    this.#outcomes.push({ what, isGood, found });
    this.#outcomeLine(isGood, what, found);
  }

  /** Output as an operator would see it. */
  show(command: string, text: string): void {
    const lines = text.trimEnd().split("\n");
    this.#out.write(`\n   ${this.#bold(`$ ${command}`)}\n`);
    for (const line of lines) this.#out.write(`   ${line}\n`);
  }

  line(text = ""): void {
    this.#out.write(text === "" ? "\n" : `   ${text}\n`);
  }

  summary(): void {
    this.#out.write(`\n${this.#bold("Summary")}\n`);
    const rows = this.#outcomes.map(({ what, isGood, found }) => [mark(isGood), what, found]);
    for (const line of table([["", "what", "found"], ...rows])) this.#out.write(`   ${line}\n`);
    const bad = this.#outcomes.filter((outcome) => !outcome.isGood).length;
    const verdict =
      bad === 0 ? `all ${this.#outcomes.length} checks passed` : `${bad} checks FAILED`;
    this.#out.write(`\n   ${this.#bold(verdict)}\n`);
  }

  #outcomeLine(isGood: boolean, what: string, found: string): void {
    const dots = ".".repeat(Math.max(2, WIDTH - what.length - found.length));
    const clear = this.#out.isTTY ? "\r\u001b[K" : "";
    this.#out.write(`${clear}   ${mark(isGood)} ${what} ${dots} ${found}\n`);
  }

  #bold(text: string): string {
    return this.#out.isTTY ? `\u001b[1m${text}\u001b[0m` : text;
  }
}

function mark(isGood: boolean): string {
  return isGood ? "ok  " : "FAIL";
}

export function formatMs(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Columns as wide as their widest cell; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
