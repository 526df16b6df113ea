/** twillctl(1): every verb with the help it prints itself, and the exit codes. */
import type { Command } from "commander";
import { troff } from "../common/config/option-man.ts";
import { VERSION } from "../common/version.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { fullName, helpOf, verbsOf } from "./reference.ts";

export function renderMan(program: Command): string {
  const lines = [
    `.TH TWILLCTL 1 "" "twill ${VERSION}" "Twill"`,
    ".SH NAME",
    `twillctl \\- ${troff(program.description())}`,
    ".SH SYNOPSIS",
    ".B twillctl",
    "[options] verb",
    ".SH DESCRIPTION",
    ...literal(helpOf(program)),
    ".SH VERBS",
    ...verbsOf(program)
      .filter((verb) => verb !== program)
      .flatMap(describe),
    ".SH EXIT STATUS",
    ...Object.values(EXIT_CODES).flatMap(({ code, meaning }) => [
      ".TP",
      String(code),
      troff(meaning),
    ]),
    ".SH SEE ALSO",
    `${troff("twill-controller(8)")}, ${troff("twill-agent(8)")}`,
  ];
  return `${lines.join("\n")}\n`;
}

function describe(verb: Command): string[] {
  return [
    `.SS "${troff(fullName(verb))}"`,
    ...literal(helpOf(verb)),
    ...verbsOf(verb).flatMap(describe),
  ];
}

/** Lines as they are. */
function literal(text: string): string[] {
  return [".nf", troff(text.trimEnd()), ".fi"];
}
