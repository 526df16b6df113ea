/** A daemon's manual page, section 8, from the same table as its help: they cannot differ. */
import { groupsOf, meaning, synopsis } from "./option-help.ts";
import { environmentNames, type OptionTable } from "./option-table.ts";

export interface ManPage {
  /** What follows the program's name. */
  readonly usage: string;
  readonly version: string;
  /** Files that the daemon reads or writes, and what they are. */
  readonly files: readonly (readonly [path: string, what: string])[];
  /** Other pages: "twillctl(1)". */
  readonly seeAlso: readonly string[];
}

/** troff with the man(7) macros. */
export function renderMan<V extends object>(table: OptionTable<V>, page: ManPage): string {
  const { program, summary } = table;
  const lines = [
    `.TH ${program.toUpperCase()} 8 "" "twill ${page.version}" "Twill"`,
    ".SH NAME",
    `${program} \\- ${troff(firstClause(summary))}`,
    ".SH SYNOPSIS",
    `.B ${program}`,
    troff(page.usage),
    ".SH DESCRIPTION",
    troff(summary),
    ".SH OPTIONS",
    "An option can be given by environment too, as it is named in brackets; the command line comes first.",
  ];
  for (const [group, specs] of groupsOf(table)) {
    lines.push(`.SS "${troff(group)}"`);
    for (const spec of specs) {
      const [variable] = environmentNames(spec.flag);
      lines.push(".TP", `.B ${troff(synopsis(spec))}`, `${troff(meaning(spec))} [${variable}]`);
    }
  }
  lines.push(".SH FILES");
  for (const [path, what] of page.files) lines.push(".TP", `.I ${troff(path)}`, troff(what));
  lines.push(".SH SEE ALSO", page.seeAlso.map((name) => troff(name)).join(",\n"));
  return `${lines.join("\n")}\n`;
}

/** "Joins this machine: holds …" says enough before the colon or the full stop. */
function firstClause(summary: string): string {
  const clause = summary.split(/[:.](?: |$)/)[0] ?? summary;
  return clause.slice(0, 1).toLowerCase() + clause.slice(1);
}

/** A dash is a minus that can be pasted, and no text begins a request. */
export function troff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}
