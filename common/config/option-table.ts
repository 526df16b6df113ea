/**
 * Command line and environment to options, by one table per binary. Go's flag syntax as
 * flanneld has it (`-x`, `--x`, `=` or blank, booleans without value), but with every
 * problem reported instead of the first logged, and a suggestion for a typing error.
 */
import { TwillError } from "../errors.ts";
import { readCommandLine, type Shape } from "./command-line.ts";
import type { OptionSpec } from "./option-spec.ts";

/** V is the type of the options: one spec per property. */
export interface OptionTable<V extends object> {
  /** Binary's name. */
  readonly program: string;
  /** One or two sentences above the help. */
  readonly summary: string;
  readonly options: { readonly [K in keyof V]: OptionSpec<V[K]> };
  /** Options of flanneld that mean nothing here: accepted with a warning. */
  readonly ignored: readonly IgnoredOption[];
}

export interface IgnoredOption {
  readonly flag: string;
  readonly isBoolean: boolean;
  /** Why it has no effect, and what to do instead. */
  readonly why: string;
}

/** One option as it was given; a secret's text is left out. */
export interface GivenOption {
  readonly flag: string;
  /** "--flag" or the variable's name. */
  readonly source: string;
  readonly text: string;
}

export type ParsedOptions<V> =
  | {
      readonly kind: "options";
      readonly values: V;
      /** What was given and where, for the log line of the start. */
      readonly given: readonly GivenOption[];
      readonly warnings: readonly string[];
    }
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "invalid"; readonly problems: readonly string[] };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that give an option, strongest first. */
export function environmentNames(flag: string): readonly [twill: string, flannel: string] {
  const name = flag.replaceAll("-", "_").toUpperCase();
  return [`TWILL_${name}`, `FLANNELD_${name}`];
}

/** `argv` without interpreter, script and subcommand. The command line beats the environment. */
export function parseOptions<V extends object>(
  argv: readonly string[],
  env: Environment,
  table: OptionTable<V>,
): ParsedOptions<V> {
  const line = readCommandLine(argv, shapesOf(table));
  if (line.asks !== undefined) return { kind: line.asks };
  const report: Report = { problems: [...line.problems], warnings: [], given: [] };
  const values: Partial<V> = {};
  for (const key in table.options) {
    const spec = table.options[key];
    const found = find(spec, line.texts, env);
    values[key] = found === undefined ? spec.fallback : readFound(spec, found, report);
  }
  for (const option of table.ignored) noteIgnored(option, line.texts, env, report);
  if (report.problems.length > 0) return { kind: "invalid", problems: report.problems };
  if (!isWhole(values, table)) throw new TwillError("BUG", "an option was left out");
  return { kind: "options", values, given: report.given, warnings: report.warnings };
}

interface Report {
  readonly problems: string[];
  readonly warnings: string[];
  readonly given: GivenOption[];
}

interface Found {
  readonly source: string;
  readonly texts: readonly string[];
}

/** Command line first, then the variables; an empty text is the same as none. */
function find(
  spec: { readonly flag: string },
  texts: ReadonlyMap<string, readonly string[]>,
  env: Environment,
): Found | undefined {
  const typed = (texts.get(spec.flag) ?? []).filter((text) => text !== "");
  if (typed.length > 0) return { source: `--${spec.flag}`, texts: typed };
  for (const source of environmentNames(spec.flag)) {
    const text = env[source] ?? "";
    if (text !== "") return { source, texts: [text] };
  }
  return undefined;
}

function readFound<T>(spec: OptionSpec<T>, found: Found, report: Report): T {
  const { source, texts } = found;
  const reading = spec.read(texts);
  if (reading.kind === "wrong") {
    report.problems.push(
      spec.isSecret
        ? `${source} has a wrong value (not shown, it is secret)`
        : `${source} ${reading.problem}`,
    );
    return spec.fallback;
  }
  const shown = spec.isRepeatable ? texts.join(" ") : (texts.at(-1) ?? "");
  report.given.push({ flag: spec.flag, source, text: spec.isSecret ? "(secret)" : shown });
  if (spec.isSecret && source.startsWith("--")) {
    const [variable] = environmentNames(spec.flag);
    report.warnings.push(
      `${source} shows its secret in the process list; give it as ${variable} instead`,
    );
  }
  return reading.value;
}

function noteIgnored(
  option: IgnoredOption,
  texts: ReadonlyMap<string, readonly string[]>,
  env: Environment,
  report: Report,
): void {
  const found = find(option, texts, env);
  if (found !== undefined) report.warnings.push(`${found.source} is ignored: ${option.why}`);
}

/** Every option of the table has a property, so the partial object is the whole one. */
function isWhole<V extends object>(values: Partial<V>, table: OptionTable<V>): values is V {
  return Object.keys(table.options).every((key) => Object.hasOwn(values, key));
}

function shapesOf<V extends object>(table: OptionTable<V>): ReadonlyMap<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const key in table.options) {
    const { flag, placeholder } = table.options[key];
    shapes.set(flag, { flag, isBoolean: placeholder === undefined });
  }
  for (const { flag, isBoolean } of table.ignored) shapes.set(flag, { flag, isBoolean });
  return shapes;
}
