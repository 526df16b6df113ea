/** The help on the terminal and the configuration reference in docs/, both from the one table. */
import type { OptionSpec } from "./option-spec.ts";
import { environmentNames, type OptionTable } from "./option-table.ts";

const WIDTH = 88;
const INDENT = "      ";

/** What `--help` prints. `usage` is what follows the program's name. */
export function renderHelp<V extends object>(table: OptionTable<V>, usage = "[options]"): string {
  const lines = [`Usage: ${table.program} ${usage}`, "", ...wrap(table.summary, "")];
  for (const [group, specs] of groupsOf(table)) {
    lines.push("", `${group}:`);
    for (const spec of specs) lines.push(`  ${synopsis(spec)}`, ...wrap(meaning(spec), INDENT));
  }
  lines.push("", "Other:", "  --help, --version", "");
  lines.push(...wrap(environmentRule(table), ""));
  return `${lines.join("\n")}\n`;
}

function environmentRule<V extends object>(table: OptionTable<V>): string {
  const [[, specs = []] = []] = groupsOf(table);
  const flag = specs[0]?.flag ?? "";
  const names = environmentNames(flag).join(" or ");
  return `Every option can be given by environment: ${names} stands for --${flag}, and so on. The command line comes first, then TWILL_*, then FLANNELD_*; an empty value is the same as none.`;
}

/** One table per group, for docs/. */
export function renderMarkdown<V extends object>(table: OptionTable<V>): string {
  const lines: string[] = [];
  for (const [group, specs] of groupsOf(table)) {
    lines.push(`### ${group}`, "", "| Option | Environment | Default | Meaning |");
    lines.push("|---|---|---|---|");
    for (const spec of specs) {
      const [variable] = environmentNames(spec.flag);
      const fallback = spec.fallbackText === "" ? "" : `\`${cell(spec.fallbackText)}\``;
      const help = cell(spec.isRepeatable ? `${spec.help} Repeatable.` : spec.help);
      lines.push(`| \`${cell(synopsis(spec))}\` | \`${variable}\` | ${fallback} | ${help} |`);
    }
    lines.push("");
  }
  return [...lines, ...ignoredMarkdown(table)].join("\n");
}

function ignoredMarkdown<V extends object>(table: OptionTable<V>): string[] {
  if (table.ignored.length === 0) return [];
  const rows = table.ignored.map(({ flag, why }) => `| \`--${flag}\` | ${cell(why)} |`);
  return ["### Accepted and ignored", "", "| Option | Why |", "|---|---|", ...rows, ""];
}

type Described = OptionSpec<unknown>;

/** The options by their headings, in the order of the table. */
export function groupsOf<V extends object>(table: OptionTable<V>): Map<string, Described[]> {
  const groups = new Map<string, Described[]>();
  for (const key in table.options) {
    const spec = table.options[key];
    groups.set(spec.group, [...(groups.get(spec.group) ?? []), spec]);
  }
  return groups;
}

/** "--mtu BYTES" */
export function synopsis(spec: Described): string {
  return spec.placeholder === undefined ? `--${spec.flag}` : `--${spec.flag} ${spec.placeholder}`;
}

/** Help with default. */
export function meaning(spec: Described): string {
  const repeat = spec.isRepeatable ? " Repeatable." : "";
  const fallback = spec.fallbackText === "" ? "" : ` (default: ${spec.fallbackText})`;
  return `${spec.help}${repeat}${fallback}`;
}

/** Breaks at blanks; a word longer than the line stays whole. */
function wrap(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(" ")) {
    const isFirst = line === indent;
    if (!isFirst && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}${word}`;
    } else {
      line = isFirst ? `${indent}${word}` : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
